// Between the uncompressed transfer syntaxes: for a PACS that takes another one than
// the modality sent. Deflated and Explicit VR Little Endian hold the same bytes; all
// else is written anew by DCMTK. The scanner has bounded the nesting before DCMTK's
// recursive reader sees the bytes. Large values stay in files, but for those whose
// bytes must be swapped.
//
// DCMTK drops what it cannot place, an element that comes twice for one, and only logs
// it. So the index of the result is held against that of the source.
#include <algorithm>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dcwcache.h>
#include <dcmtk/dcmdata/dcxfer.h>

#include "gateway/deliver/payload.h"
#include "gateway/deliver/scan_source.h"

namespace sluice {
namespace {

constexpr std::size_t kConvertedAtOnce = std::size_t{64} * 1024;
constexpr Uint32 kValuesInMemory = 4096;  // bytes; longer ones are read when written

// What the bytes are once they are inflated.
dicom::TransferSyntax plain_syntax(const dicom::TransferSyntax& syntax) {
  return syntax.deflated ? dicom::transfer_syntax(dicom::kExplicitVrLittleEndian) : syntax;
}

Result<void> write(DcmDataset& data_set, E_TransferSyntax syntax, E_EncodingType lengths,
                   TemporaryFile& target) {
  std::vector<std::byte> buffer(kConvertedAtOnce);
  DcmOutputBufferStream stream(buffer.data(), static_cast<offile_off_t>(buffer.size()));
  DcmWriteCache cache;
  data_set.transferInit();
  for (;;) {
    const OFCondition written =
        data_set.write(stream, syntax, lengths, &cache, EGL_recalcGL, EPD_noChange);
    if (written.bad() && written != EC_StreamNotifyClient) {
      return failure(ErrorCode::permanent, written.text());
    }
    void* bytes = nullptr;
    offile_off_t length = 0;
    stream.flushBuffer(bytes, length);
    auto appended =
        target.append({static_cast<const std::byte*>(bytes), static_cast<std::size_t>(length)});
    if (!appended) return appended;
    if (written.good()) break;
    if (length == 0) return failure(ErrorCode::permanent, "an element cannot be written");
  }
  data_set.transferEnd();
  return {};
}

struct Encoding {
  E_TransferSyntax from;
  E_TransferSyntax to;
  E_EncodingType lengths;  // of sequences and items
};

Result<TemporaryFile> rewrite(const TemporaryFile& source, const Encoding& encoding,
                              const std::string& folder) {
  // It would take white space out of values, which nobody asked for.
  static std::once_flag once;
  std::call_once(once, [] { dcmEnableAutomaticInputDataCorrection.set(OFFalse); });
  auto target = TemporaryFile::create(folder);
  if (!target) return target;
  DcmDataset data_set;
  OFCondition condition =
      data_set.loadFile(source.path().c_str(), encoding.from, EGL_noChange, kValuesInMemory);
  if (condition.good()) condition = data_set.chooseRepresentation(encoding.to, nullptr);
  if (condition.bad()) return failure(ErrorCode::permanent, condition.text());
  if (const auto written = write(data_set, encoding.to, encoding.lengths, *target); !written) {
    return tl::unexpected(written.error());
  }
  return target;
}

// Depth, tag and padded length of every element, in an order of its own: DCMTK sorts.
// Lengths of sequences and items differ between encodings; group lengths are made anew.
using Outline = std::vector<std::tuple<std::uint8_t, dicom::Tag, std::uint32_t>>;

Outline outline_of(const dicom::Header& header) {
  Outline outline;
  for (const dicom::Element& element : header.elements()) {
    if (element.tag.is_group_length()) continue;
    const bool nested =
        element.is_sequence() || element.is_item() || element.length == dicom::kUndefinedLength;
    outline.emplace_back(element.depth, element.tag,
                         nested ? 0 : element.length + element.length % 2);
  }
  std::ranges::sort(outline);
  return outline;
}

Result<void> compare(const TemporaryFile& source, const dicom::TransferSyntax& from,
                     const TemporaryFile& target, const dicom::TransferSyntax& to) {
  const auto before = scan_header(source, from);
  if (!before) return tl::unexpected(before.error());
  const auto after = scan_header(target, to);
  if (!after) return failure(ErrorCode::permanent, after.error().message);
  const Outline expected = outline_of(*before);
  const Outline found = outline_of(*after);
  const auto [lost, other] = std::ranges::mismatch(expected, found);
  if (lost == expected.end() && other == found.end()) return {};
  const dicom::Tag tag = lost == expected.end() ? std::get<1>(*other) : std::get<1>(*lost);
  return failure(ErrorCode::permanent, "it would lose or change " + dicom::keyword(tag));
}

Result<TemporaryFile> convert(TemporaryFile source, const dicom::TransferSyntax& from,
                              const dicom::TransferSyntax& to, const std::string& folder) {
  if (from.uid == to.uid) return source;
  Encoding encoding{DcmXfer(from.uid.c_str()).getXfer(), DcmXfer(to.uid.c_str()).getXfer(),
                    EET_ExplicitLength};
  const auto attempt = [&]() -> Result<TemporaryFile> {
    auto target = rewrite(source, encoding, folder);
    if (!target) return target;
    if (const auto same = compare(source, from, *target, to); !same) {
      return tl::unexpected(same.error());
    }
    return target;
  };
  auto target = attempt();
  if (target || target.error().code != ErrorCode::permanent) return target;
  // DCMTK pads a nested value of odd length, but leaves the pad out of the lengths around it.
  encoding.lengths = EET_UndefinedLength;
  return attempt();
}

}  // namespace

Result<Payload> Payload::converted(std::string_view transfer_syntax_uid) {
  const dicom::TransferSyntax wanted = dicom::transfer_syntax(transfer_syntax_uid);
  const std::string what = "conversion from " + dicom::transfer_syntax_name(transfer_syntax_.uid) +
                           " to " + dicom::transfer_syntax_name(wanted.uid);
  if (transfer_syntax_.encapsulated || wanted.encapsulated) {
    return failure(ErrorCode::permanent, what + " is not possible without loss or decoding");
  }
  if (!makes_files_) return failure(ErrorCode::permanent, what + " is not possible without files");
  auto source = write_out();
  if (!source) return tl::unexpected(source.error());
  rewind();
  const dicom::TransferSyntax plain = plain_syntax(wanted);
  auto target =
      convert(std::move(*source), plain_syntax(transfer_syntax_), plain, temporary_folder_);
  if (!target) {
    return failure(target.error().code, what + " failed: " + target.error().message);
  }
  const auto length = target->length();
  if (!length) return tl::unexpected(length.error());
  Payload made(std::move(*target), wanted, temporary_folder_);
  made.identifiers_ = identifiers_;
  made.pieces_ = {dicom::Piece{0, *length, {}}};
  if (!wanted.deflated) return made;
  auto packed = made.deflate();
  if (!packed) return tl::unexpected(packed.error());
  if (const auto taken = made.take(std::move(*packed)); !taken) {
    return tl::unexpected(taken.error());
  }
  return made;
}

}  // namespace sluice
