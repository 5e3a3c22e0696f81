#include "gateway/command/image_file.h"

#include <fstream>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcistrmf.h>
#include <dcmtk/dcmdata/dcmetinf.h>

#include "gateway/dicom/uid.h"

namespace sluice::command {
namespace {

struct Start {
  std::string transfer_syntax_uid;
  std::streamoff offset = 0;  // of the data set
};

Result<Start> read_meta(const std::string& path) {
  DcmInputFileStream stream(path.c_str());
  DcmMetaInfo meta;
  OFCondition condition = stream.status();
  if (condition.good()) {
    meta.transferInit();
    condition = meta.read(stream, EXS_Unknown, EGL_noChange);
    meta.transferEnd();
  }
  OFString uid;
  if (condition.good()) condition = meta.findAndGetOFString(DCM_TransferSyntaxUID, uid);
  if (condition.bad() || uid.empty()) {
    return failure(ErrorCode::permanent,
                   path + ": no DICOM Part 10 file with a Transfer Syntax UID (" +
                       (condition.bad() ? condition.text() : "it is empty") + ")");
  }
  return Start{std::string(uid.data(), uid.size()), static_cast<std::streamoff>(stream.tell())};
}

}  // namespace

Result<dicom::Header> read_image(const std::string& path, std::uint32_t max_nesting) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return failure(ErrorCode::permanent, path + ": cannot be opened");
  const auto start = read_meta(path);
  if (!start) return tl::unexpected(start.error());
  file.seekg(start->offset);
  dicom::ScanLimits limits;
  limits.depth = max_nesting;
  dicom::Scanner scanner(dicom::transfer_syntax(start->transfer_syntax_uid), limits);
  std::vector<char> buffer(64UL * 1024);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
         file.gcount() > 0) {
    const auto got = static_cast<std::size_t>(file.gcount());
    if (const auto fed = scanner.feed(std::as_bytes(std::span(buffer).first(got))); !fed) {
      return failure(fed.error().code, path + ": " + fed.error().message);
    }
  }
  auto header = scanner.finish();
  if (!header) return failure(header.error().code, path + ": " + header.error().message);
  return header;
}

std::string text_of(const dicom::Header& header, dicom::Tag tag) {
  const auto index = header.find(tag);
  const auto value = index ? header.value(*index) : std::nullopt;
  return std::string(dicom::trim_uid(value.value_or("")));
}

}  // namespace sluice::command
