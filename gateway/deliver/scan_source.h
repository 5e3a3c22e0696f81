// The header of what can be read at any offset: a SpoolReader or a TemporaryFile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/dicom/header.h"

namespace sluice {

// What stands behind the pixel data is looked at for `whole` only: irregular tags there.
enum class Extent { header, whole };

// Errors: corrupt, from the scanner; those of the source.
template <typename Source>
[[nodiscard]] Result<dicom::Header> scan_header(const Source& source,
                                                const dicom::TransferSyntax& syntax,
                                                Extent extent = Extent::header) {
  constexpr std::size_t kScanChunk = std::size_t{64} * 1024;
  // What was acknowledged stays readable when the limit is set lower later.
  dicom::ScanLimits limits;
  limits.depth = dicom::kMostNesting;
  dicom::Scanner scanner(syntax, limits);
  std::vector<std::byte> buffer(kScanChunk);
  for (std::uint64_t offset = 0; extent == Extent::whole || !scanner.header_complete();) {
    const auto got = source.read(offset, buffer);
    if (!got) return tl::unexpected(got.error());
    if (*got == 0) return scanner.finish();
    const auto fed = scanner.feed(std::span(buffer).first(*got));
    if (!fed) return tl::unexpected(fed.error());
    offset += *got;
  }
  return scanner.finish_header();
}

}  // namespace sluice
