// Writes one XML document, element by element. Whatever a text holds, the result is
// well-formed XML 1.0 in UTF-8 and has no line break.
//
//   XmlWriter xml;
//   xml.open("AuditMessage");
//   xml.attribute("UserID", calling_ae_title);
//   xml.close();
//   const std::string document = xml.take();
//
// One thread. Names of elements and attributes come from the code and must outlive it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::audit {

// For the content of an element or an attribute. Markup and white space but the plain
// space become references. What XML cannot hold is shown instead: a control character as
// its picture (U+2400 and on), bytes that are no UTF-8 as U+FFFD.
[[nodiscard]] std::string escape_xml(std::string_view text);

// At most `most` bytes of it, cut between two characters; a cut is marked by "...".
[[nodiscard]] std::string shortened(std::string_view text, std::size_t most);

class XmlWriter {
 public:
  void open(std::string_view element);
  // Before any content of the element.
  void attribute(std::string_view name, std::string_view value);
  void text(std::string_view value);
  void close();
  [[nodiscard]] std::size_t size() const { return document_.size(); }  // bytes so far
  // Once, with all elements closed.
  [[nodiscard]] std::string take() { return std::move(document_); }

 private:
  void end_tag();

  std::string document_ = R"(<?xml version="1.0" encoding="UTF-8"?>)";
  std::vector<std::string_view> open_;
  bool in_tag_ = false;
};

}  // namespace sluice::audit
