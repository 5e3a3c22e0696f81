// Random data sets under random patches, against a tree that is edited in the same way
// and written anew: the bytes must be the same, whatever was edited.
#include <gtest/gtest.h>

#include "tests/dicom/data_set_model.h"
#include "tests/dicom/dcmtk_oracle.h"

namespace sluice::dicom {
namespace {

using test::Bytes;
using test::Form;
using test::ModelElement;
using test::ModelItem;
using test::ModelMaker;

constexpr std::uint32_t kCases = 1000;  // in each form

class Case {
 public:
  Case(std::uint32_t seed, Form form)
      : maker_(seed, form),
        bytes_{form},
        may_be_odd_(maker_.one_in(2)),
        elements_(maker_.elements(0, false, may_be_odd_)) {
    syntax_ = test::syntax_of(form);
    ElementIndex next = 0;
    test::number(elements_, next);
    count_ = next;
    if (maker_.one_in(2)) pixels_ = pixel_data();
    data_ = test::written(elements_, bytes_) + pixels_;
  }

  void run() {
    const auto header = test::scan_text(data_, syntax_);
    ASSERT_TRUE(header) << header.error().message;
    ASSERT_EQ(header->elements().size(), count_);
    ASSERT_EQ(header->length(), data_.size() - pixels_.size());
    compare_values(*header);
    compare_with_dcmtk(*header, data_);
    Patch patch(*header);
    const std::size_t edits = maker_.below(8);
    for (std::size_t i = 0; i < edits; ++i) edit(patch);
    const auto pieces = patch.render(data_.size());
    ASSERT_TRUE(pieces) << pieces.error().message;
    const std::string rendered = test::joined(*pieces, data_);
    const std::string expected = test::written(elements_, bytes_) + pixels_;
    ASSERT_EQ(rendered.size(), expected.size());
    ASSERT_TRUE(rendered == expected);
    const auto again = test::scan_text(rendered, syntax_);
    ASSERT_TRUE(again) << again.error().message;
    compare_with_dcmtk(*again, rendered);
  }

 private:
  std::string pixel_data() {
    if (bytes_.form != Form::explicit_le || maker_.one_in(2)) {
      return bytes_.element(tags::kPixelData, "OW", std::string(2 * maker_.below(100), 'p'));
    }
    syntax_ = transfer_syntax("1.2.840.10008.1.2.4.50");
    return bytes_.head(tags::kPixelData, "OB", test::kUndefined) + bytes_.item("") +
           bytes_.item("fragment") + bytes_.sequence_end();
  }

  void compare_values(const Header& header) {
    for (ElementIndex i = 0; i < count_; ++i) {
      const auto place = test::find(elements_, i);
      ASSERT_TRUE(place);
      EXPECT_EQ(header[i].is_item(), place->items != nullptr);
      if (place->items != nullptr) continue;
      const ModelElement& model = (*place->siblings)[place->position];
      EXPECT_EQ(header[i].tag, model.tag);
      EXPECT_EQ(header[i].is_sequence(), model.is_sequence);
      if (!model.is_sequence && !model.is_fragments && !model.tag.is_group_length()) {
        EXPECT_EQ(header.value(i), model.value);
      }
    }
  }

  // DCMTK reads odd lengths in ways of its own.
  void compare_with_dcmtk(const Header& header, const std::string& data) const {
    if (may_be_odd_) return;
    DcmDataset theirs;
    ASSERT_TRUE(test::read_by_dcmtk(data, syntax_, theirs));
    EXPECT_EQ(test::TreeComparison(header).compare(theirs), "");
  }

  void edit(Patch& patch) {
    switch (maker_.below(6)) {
      case 0:
        return set_by_tag(patch);
      case 1:
        return append_item(patch);
      case 2:
        return remove_by_tag(patch);
      default:
        return edit_by_index(patch);
    }
  }

  const ModelMaker::Kind& any_kind() {
    return ModelMaker::kPlain[maker_.below(ModelMaker::kPlain.size())];
  }

  void set_by_tag(Patch& patch) {
    const auto& kind = any_kind();
    if (std::string_view(kind.vr) == "US") return;
    const std::string text = maker_.value(kind.vr, true);
    EXPECT_TRUE(patch.set(kind.tag, text));
    const std::string value = test::padded(text, kind.vr);
    const auto there = std::ranges::find(elements_, kind.tag, &ModelElement::tag);
    if (there == elements_.end()) {
      test::insert_in_order(elements_, {kind.tag, kind.vr, value});
    } else {
      there->value = value;
    }
    EXPECT_EQ(patch.value(kind.tag), value);
  }

  void remove_by_tag(Patch& patch) {
    const Tag tag = maker_.one_in(2) ? any_kind().tag : any_sequence();
    patch.remove(tag);
    std::erase_if(elements_, [&](const ModelElement& element) { return element.tag == tag; });
  }

  Tag any_sequence() { return ModelMaker::kSequences[maker_.below(ModelMaker::kSequences.size())]; }

  void append_item(Patch& patch) {
    const Tag tag = any_sequence();
    NewItem item;
    ModelItem model = new_item(item);
    ASSERT_TRUE(patch.append_item(tag, item));
    const auto there = std::ranges::find(elements_, tag, &ModelElement::tag);
    if (there != elements_.end()) {
      there->items.push_back(std::move(model));
      return;
    }
    ModelElement sequence{tag, "SQ", ""};
    sequence.is_sequence = true;
    sequence.items.push_back(std::move(model));
    test::insert_in_order(elements_, std::move(sequence));
  }

  ModelItem new_item(NewItem& item) {
    ModelItem model;
    for (const auto& kind : ModelMaker::kPlain) {
      if (!maker_.one_in(4)) continue;
      const std::string value = maker_.value(kind.vr, true);
      const Vr vr{vr_code(kind.vr[0], kind.vr[1])};
      item.insert(item.begin(), {kind.tag, vr, value});
      model.elements.push_back({kind.tag, kind.vr, test::padded(value, kind.vr)});
    }
    return model;
  }

  void edit_by_index(Patch& patch) {
    if (count_ == 0) return;
    const auto index = static_cast<ElementIndex>(maker_.below(count_));
    const auto place = test::find(elements_, index);
    if (!place) return;  // removed before
    if (maker_.one_in(4)) {
      patch.remove(index);
      if (place->items != nullptr) {
        place->items->erase(place->items->begin() + static_cast<std::ptrdiff_t>(place->position));
      } else {
        place->siblings->erase(place->siblings->begin() +
                               static_cast<std::ptrdiff_t>(place->position));
      }
      return;
    }
    if (place->items != nullptr)
      return insert(patch, index, (*place->items)[place->position].elements);
    set(patch, index, (*place->siblings)[place->position]);
  }

  void set(Patch& patch, ElementIndex index, ModelElement& model) {
    if (model.is_sequence || model.is_fragments || model.tag.is_group_length()) return;
    const std::string value = maker_.value(model.vr, true);
    patch.set(index, value);
    model.value = test::padded(value, model.vr);
    EXPECT_EQ(patch.value(index), model.value);
  }

  void insert(Patch& patch, ElementIndex item, std::vector<ModelElement>& elements) {
    const auto& kind = any_kind();
    if (test::has(elements, kind.tag)) return;
    const std::string value = maker_.value(kind.vr, true);
    const Vr vr{vr_code(kind.vr[0], kind.vr[1])};
    ASSERT_TRUE(patch.insert(item, {kind.tag, vr, value}));
    test::insert_in_order(elements, {kind.tag, kind.vr, test::padded(value, kind.vr)});
  }

  ModelMaker maker_;
  Bytes bytes_;
  TransferSyntax syntax_;
  bool may_be_odd_;
  std::vector<ModelElement> elements_;
  std::size_t count_ = 0;
  std::string pixels_;
  std::string data_;
};

class PatchProperty : public testing::TestWithParam<Form> {};

INSTANTIATE_TEST_SUITE_P(Forms, PatchProperty, testing::ValuesIn(test::kForms));

TEST_P(PatchProperty, RendersWhatTheEditedTreeWouldBe) {
  OFLog::configure(OFLogger::OFF_LOG_LEVEL);
  for (std::uint32_t seed = 0; seed < kCases; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Case(seed, GetParam()).run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace sluice::dicom
