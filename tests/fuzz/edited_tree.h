// What a data set under edits is to become: a tree of the bytes as scanned, edited in the
// plain way and put together anew. A patch is held against it, byte for byte.
//
// It takes from the index only where elements begin and end; lengths, order and group
// lengths are worked out again. The header and the bytes must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/dicom/patch.h"

namespace sluice::fuzz {

class EditedTree {
 public:
  EditedTree(const dicom::Header& header, std::string_view data);

  // As Patch does, for edits that it takes.
  void set(dicom::ElementIndex index, const std::string& value);
  void set(dicom::Tag tag, std::string_view text);
  void remove(dicom::ElementIndex index);
  void remove(dicom::Tag tag);
  void insert(dicom::ElementIndex parent, dicom::NewElement element);
  // False where Patch must refuse: there is a value that is no sequence.
  bool append_item(dicom::Tag sequence, dicom::NewItem item);

  // True when nothing of it is left to be edited: it, or what it is in, is gone or was
  // replaced as a whole.
  [[nodiscard]] bool is_gone(dicom::ElementIndex index) const;
  [[nodiscard]] bool is_replaced(dicom::ElementIndex index) const;
  [[nodiscard]] bool has_at_top(dicom::Tag tag) const;  // not removed, or inserted
  [[nodiscard]] std::optional<std::string> value(dicom::ElementIndex index) const;
  [[nodiscard]] std::optional<std::string> value(dicom::Tag tag) const;

  // The data set, with what stands behind the header as it was; nullopt when a value does
  // not fit the length field of its VR.
  [[nodiscard]] std::optional<std::string> bytes() const;

 private:
  struct Insertion {
    std::size_t before = 0;  // the position of a child
    dicom::NewElement element;
  };
  struct Node {
    bool removed = false;
    std::optional<std::string> replaced;  // all that is in it, by this
    std::vector<dicom::ElementIndex> children;
    std::vector<Insertion> insertions;
    std::vector<dicom::NewItem> appended;
  };
  struct Form {  // how something stands in the bytes
    bool implicit_vr = false;
    bool big_endian = false;
  };

  [[nodiscard]] const Node& node(dicom::ElementIndex index) const;
  [[nodiscard]] Node& node(dicom::ElementIndex index);
  [[nodiscard]] std::vector<dicom::ElementIndex> top(dicom::Tag tag) const;  // not removed
  [[nodiscard]] Insertion* inserted_at_top(dicom::Tag tag);
  [[nodiscard]] const Insertion* inserted_at_top(dicom::Tag tag) const;
  [[nodiscard]] Form form_of(dicom::ElementIndex index) const;
  [[nodiscard]] Form form_inside(dicom::ElementIndex index) const;
  [[nodiscard]] std::string slice(std::uint64_t begin, std::uint64_t end) const;

  [[nodiscard]] std::string element(dicom::ElementIndex index) const;
  [[nodiscard]] std::string children(dicom::ElementIndex parent) const;
  [[nodiscard]] std::string with_group_length(dicom::ElementIndex index, std::int64_t growth) const;
  [[nodiscard]] std::string head(dicom::Tag tag, dicom::Vr vr, std::size_t length, Form form) const;
  [[nodiscard]] std::string new_element(const dicom::NewElement& element, Form form) const;
  [[nodiscard]] std::string new_item(const dicom::NewItem& item, Form form) const;

  const dicom::Header& header_;
  std::string_view data_;
  std::vector<Node> nodes_;
  Node root_;
  mutable bool too_long_ = false;
};

}  // namespace sluice::fuzz
