// An audit message read by a real parser, and judged by xmllint and the schema.
#pragma once

#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>

#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace sluice::test {

using Tree = boost::property_tree::ptree;

inline void expect_valid(const std::string& xml, const std::string& schema) {
  const TemporaryFolder folder;
  std::ofstream(folder.path("message.xml"), std::ios::binary) << xml;
  Process check({"xmllint", "--noout", "--relaxng", schema, folder.path("message.xml")});
  EXPECT_EQ(check.wait(), 0) << check.output() << "\n" << xml;
}

inline Tree parse_xml(const std::string& xml) {
  std::istringstream stream(xml);
  Tree tree;
  boost::property_tree::read_xml(stream, tree);
  return tree.get_child("AuditMessage");
}

// "110104/DCM/DICOM Instances Transferred"; "" when the element is not there.
inline std::string code_of(const Tree& tree, const std::string& element) {
  const auto code = tree.get_child_optional(element);
  if (!code) return "";
  return code->get<std::string>("<xmlattr>.csd-code") + "/" +
         code->get<std::string>("<xmlattr>.codeSystemName") + "/" +
         code->get<std::string>("<xmlattr>.originalText");
}

inline std::string attribute(const Tree& tree, const std::string& name) {
  return tree.get<std::string>("<xmlattr>." + name, "");
}

// The nth child of this name.
inline Tree child(const Tree& tree, const std::string& name, std::size_t nth = 0) {
  for (const auto& [key, value] : tree) {
    if (key == name && nth-- == 0) return value;
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

}  // namespace sluice::test
