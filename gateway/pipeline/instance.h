// A SOP instance on its way through a chain: where it came from, what its header
// says, and what the filters have changed so far.
//
// Reads see earlier edits. Every edit a filter makes goes through change(), remove() or
// turn_to_unicode(), so that it is counted, logged, shown by `explain` and, where asked,
// recorded in Original Attributes Sequence (0400,0561). One thread; the header
// must outlive it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/dicom/header.h"
#include "gateway/dicom/patch.h"
#include "gateway/pipeline/attribute_path.h"

namespace sluice {

struct Provenance {
  std::string id;  // of the instance in spool, queue and log
  std::string calling_ae_title;
  std::string called_ae_title;
  std::string peer_address;
  std::string listener;
  std::string sop_class_uid;     // (0000,0002) of the C-STORE-RQ
  std::string sop_instance_uid;  // (0000,1000) of the C-STORE-RQ
  std::chrono::system_clock::time_point received_at;
  // Given because another instance has (0000,1000) with other bytes; "": none.
  std::string new_sop_instance_uid = {};
  std::string user_name = {};  // where the listener passes it on; never logged
};

// How an edit is remembered in the data set (PS3.3 C.12.1.1.9).
enum class Record {
  none,           // not at all: padding, or switched off
  coerced,        // valid before: Modified Attributes Sequence (0400,0550), top level only
  nonconforming,  // broke its VR: Nonconforming Modified Attributes Sequence (0400,0551)
  never,          // by no step, whatever the others say: the receiver must not know it
};

// Text in UTF-8, values parted by "\\"; nullopt: there is none, or it is not in memory.
using Text = std::optional<std::string>;

struct Change {
  std::string filter;  // the step's name in the chain
  std::string path;    // "StudyInstanceUID", "ReferencedStudySequence[0].ReferencedSOPInstanceUID"
  std::string reason;  // a fixed word or two: "leading zero", "collision"
  std::string before;  // text; "" when there was none
  std::string after;
};

class Instance {
 public:
  Instance(Provenance provenance, const dicom::Header& header);

  [[nodiscard]] const Provenance& provenance() const { return provenance_; }
  [[nodiscard]] const dicom::Header& header() const { return patch_.header(); }
  [[nodiscard]] const dicom::Patch& patch() const { return patch_; }
  [[nodiscard]] const std::vector<Change>& changes() const { return changes_; }

  // Top level, as text without padding; "" when absent or empty.
  [[nodiscard]] std::string text(dicom::Tag tag) const { return patch_.text(tag); }

  // Of each that stands there: none when absent, two where the tag comes twice. Nobody
  // knows which of them another reader takes.
  [[nodiscard]] std::vector<std::string> texts(dicom::Tag tag) const { return patch_.texts(tag); }

  // True when the tag comes twice at the top level with different values, against PS3.5
  // 7.1: text() tells the first, and another reader may take the second.
  [[nodiscard]] bool is_ambiguous(dicom::Tag tag) const;

  // Every value at this path, in UTF-8 and without padding, of each element that it leads to:
  // none when there is no such element, "" of an empty one, nullopt of one that is too long to
  // be kept in memory.
  [[nodiscard]] std::vector<Text> values(const AttributePath& path) const;

  // The Specific Character Set (0008,0005) that text in this item is in; kRoot: the data set.
  [[nodiscard]] std::string character_set(dicom::ElementIndex item = dicom::kRoot) const;

  // A value of that item as text in UTF-8, values parted by "\\"; as it is, where that is not
  // text of its character set.
  [[nodiscard]] std::string unicode(const dicom::PlacedValue& value,
                                    dicom::ElementIndex item) const;

  // Words by which later routes and conditions may ask for it.
  [[nodiscard]] const std::vector<std::string>& labels() const { return labels_; }
  void add_label(const std::string& label);

  // Sets a top-level attribute, each if it comes twice. Equal text is no change. Errors:
  // permanent.
  [[nodiscard]] Result<void> change(dicom::Tag tag, std::string_view text, std::string_view reason,
                                    Record record);

  // Sets one element at any depth; value as text of its VR. Errors: permanent.
  [[nodiscard]] Result<void> change(dicom::ElementIndex index, std::string_view text,
                                    std::string_view reason, Record record);

  // Sets what stands at this place, each if it comes twice, or inserts it with this VR.
  // Errors: permanent.
  [[nodiscard]] Result<void> change(const AttributePath::Place& place, dicom::Vr vr,
                                    std::string_view text, std::string_view reason, Record record);

  // Removes what stands at this place, with all that is in it.
  void remove(const AttributePath::Place& place, std::string_view reason, Record record);

  // Turns all text to ISO_IR 192 and says so in Specific Character Set. False, and nothing
  // is changed, where some text is not what its character set allows, or too long to be
  // looked at. Errors: permanent.
  [[nodiscard]] Result<bool> turn_to_unicode(std::string_view reason);

  // True when (0008,0018) as received, or one of two, is not the command's (0000,1000),
  // padding aside.
  [[nodiscard]] bool has_uid_mismatch() const;

  // A filter's word that the mismatch is to be lived with.
  void settle_uid_mismatch() { mismatch_settled_ = true; }
  [[nodiscard]] bool is_uid_mismatch_settled() const { return mismatch_settled_; }

  // Called by the chain: the name that the following changes bear.
  void begin_step(std::string_view name) { step_ = name; }

  // Called by the chain, once, behind the last step: adds one item to Original
  // Attributes Sequence with what was to be recorded. Its time is the time of
  // receipt, so that a retry sends the same bytes. Errors: permanent.
  [[nodiscard]] Result<void> record_original_attributes();

 private:
  struct Original {
    std::optional<dicom::ElementIndex> index;  // where it stood; nullopt: it was absent
    dicom::Tag tag;
    Record record = Record::none;
  };
  // A value that is to be another in UTF-8: an element, or what was added at a place.
  struct Turned {
    std::optional<dicom::ElementIndex> index;
    AttributePath::Place place;
    dicom::Vr vr;
    std::string text;
  };
  [[nodiscard]] std::optional<std::vector<Turned>> find_other_text() const;
  void remember(const Original& original);
  [[nodiscard]] bool is_to_be_recorded(const Original& original) const;
  [[nodiscard]] std::string path_of(const AttributePath::Place& place) const;
  [[nodiscard]] std::string shown(const dicom::PlacedValue& value, dicom::ElementIndex item) const;
  void note(std::string path, std::string_view reason, std::string before, std::string after);

  Provenance provenance_;
  dicom::Patch patch_;
  std::vector<Change> changes_;
  std::vector<Original> originals_;          // the first edit of each element only
  std::set<dicom::ElementIndex> untold_;     // of Record::never
  std::vector<AttributePath::Place> added_;  // text by change(place)
  std::vector<std::string> labels_;
  std::string step_;
  bool mismatch_settled_ = false;
};

}  // namespace sluice
