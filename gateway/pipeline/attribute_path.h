// Where an attribute stands in a data set, as a configuration names it:
//
//   PatientID  (0010,0020)  00100020          at the top level
//   RequestAttributesSequence[0].ScheduledProcedureStepID
//   ReferencedSeriesSequence[*].ReferencedInstanceSequence[*].ReferencedSOPInstanceUID
//   (0029,xx08,SIEMENS CSA HEADER)             private, whatever block its creator has
//   (PS3.5 7.8.1)
//
// Items count from 0, as in Header::path(); [*] is every one. Immutable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/dicom/patch.h"

namespace sluice {

class AttributePath {
 public:
  // Errors: configuration: an unknown keyword, an item without a number, what no filter
  // can reach: group lengths, groups 0000 and 0002, tags at or behind the pixel data.
  [[nodiscard]] static Result<AttributePath> parse(std::string_view text);

  [[nodiscard]] const std::string& text() const { return text_; }

  // Of what stands in the data set itself under a known tag; nullopt for all else.
  [[nodiscard]] std::optional<dicom::Tag> top_level() const;

  // The VR that the dictionary gives it; UN for private ones.
  [[nodiscard]] dicom::Vr vr() const;

  // A place where it may stand: the item, or kRoot, and the tag there.
  struct Place {
    dicom::ElementIndex parent = dicom::kRoot;
    dicom::Tag tag;
  };
  // All of them, whether it stands there or not; without those where the creator of a
  // private one has no block.
  [[nodiscard]] std::vector<Place> places(const dicom::Patch& patch) const;

  // From the data set to the element, which is the last.
  struct Step {
    dicom::Tag tag;                     // of a private one with a creator: (gggg,00ee)
    std::string creator;                // "": none
    std::optional<std::uint32_t> item;  // of a sequence; nullopt: every one
  };
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }

 private:
  static Result<Step> parse_step(std::string_view text, bool is_last);
  static std::optional<dicom::Tag> resolve(const Step& step, const dicom::Patch& patch,
                                           dicom::ElementIndex parent);

  std::string text_;
  std::vector<Step> steps_;
};

}  // namespace sluice
