#include "gateway/deliver/payload.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "gateway/deliver/scan_source.h"
#include "gateway/dicom/deflate.h"
#include "gateway/dicom/uid.h"

namespace sluice {
namespace {

constexpr std::size_t kChunk = std::size_t{64} * 1024;
// Of a stream, before its end: more than can come, and room to add to it.
constexpr std::uint64_t kUnknownLength = std::uint64_t{1} << 60U;

// The digest is checked before a byte is believed.
Result<SpoolReader> checked(Result<SpoolReader> reader, const InstanceRow& instance,
                            const std::shared_ptr<BufferPool>& buffers) {
  if (!reader) return reader;
  if (const auto loaded = reader->load(buffers); !loaded) return tl::unexpected(loaded.error());
  if (const auto same = reader->verify(instance.digest); !same) return tl::unexpected(same.error());
  return reader;
}

StoredFile file_of(const InstanceRow& instance) {
  return {instance.id, instance.data_set_offset, instance.data_set_length, instance.digest};
}

Result<SpoolReader> open_checked(const Spool& spool, const InstanceRow& instance) {
  return checked(spool.read(file_of(instance)), instance, spool.buffers());
}

std::string verdict_text(const Verdict& verdict) {
  if (const auto* reject = std::get_if<Reject>(&verdict)) return "rejects it: " + reject->reason;
  if (const auto* drop = std::get_if<Drop>(&verdict)) return "drops it: " + drop->reason;
  return "quarantines it: " + std::get<Quarantine>(verdict).reason;
}

std::string uid_or(std::string_view value, const std::string& fallback) {
  const std::string_view trimmed = dicom::trim_uid(value);
  return trimmed.empty() ? fallback : std::string(trimmed);
}

}  // namespace

Payload::Payload(Source source, dicom::TransferSyntax syntax, std::string temporary_folder)
    : source_(std::move(source)),
      transfer_syntax_(std::move(syntax)),
      temporary_folder_(std::move(temporary_folder)) {}

Provenance provenance_of(const InstanceRow& instance) {
  return {instance.id,
          instance.calling_ae_title,
          instance.called_ae_title,
          instance.peer_address,
          instance.listener,
          instance.sop_class_uid,
          instance.sop_instance_uid,
          instance.received_at,
          instance.new_sop_instance_uid,
          instance.user_name};
}

Result<dicom::Header> read_header(const Spool& spool, const InstanceRow& instance) {
  const auto reader = open_checked(spool, instance);
  if (!reader) return tl::unexpected(reader.error());
  return scan_header(*reader, dicom::transfer_syntax(instance.transfer_syntax_uid), Extent::whole);
}

Result<dicom::Header> read_header_beside(const std::string& folder, const InstanceRow& instance) {
  const auto reader = checked(Spool::read_beside(folder, file_of(instance)), instance,
                              std::make_shared<BufferPool>());
  if (!reader) return tl::unexpected(reader.error());
  return scan_header(*reader, dicom::transfer_syntax(instance.transfer_syntax_uid), Extent::whole);
}

Result<Payload> Payload::open(const QueueEntry& entry, const Origin& origin, Verdicts verdicts) {
  const InstanceRow& instance = entry.instance;
  auto reader = open_checked(origin.spool, instance);
  if (!reader) return tl::unexpected(reader.error());
  Payload payload(std::move(*reader), dicom::transfer_syntax(instance.transfer_syntax_uid),
                  origin.temporary_folder);
  const auto header = scan_header(std::get<SpoolReader>(payload.source_), payload.transfer_syntax_);
  if (!header) return tl::unexpected(header.error());
  if (const auto run = payload.run_chain(*header, entry, origin, verdicts); !run) {
    return tl::unexpected(run.error());
  }
  return payload;
}

Result<Payload> Payload::open_received(Source source, const Instance& edited,
                                       const QueueEntry& entry) {
  Payload payload(std::move(source), edited.header().transfer_syntax(), {});
  payload.makes_files_ = false;
  if (const auto taken = payload.take(edited, entry); !taken) return tl::unexpected(taken.error());
  return payload;
}

Result<void> Payload::run_chain(const dicom::Header& header, const QueueEntry& entry,
                                const Origin& origin, Verdicts verdicts) {
  const std::string& route = entry.delivery.route;
  Instance instance(provenance_of(entry.instance), header);
  const auto verdict =
      origin.pipeline.apply(route, entry.delivery.destination, instance, origin.ledger, verdicts);
  if (!verdict) return tl::unexpected(verdict.error());
  if (!std::holds_alternative<Pass>(*verdict)) {
    return failure(ErrorCode::permanent,
                   "today's chain of route '" + route + "' " + verdict_text(*verdict));
  }
  // A decision taken only now must not be forgotten once the PACS has seen it.
  if (auto durable = origin.ledger.commit(); !durable) return durable;
  return take(instance, entry);
}

Result<void> Payload::take(const Instance& edited, const QueueEntry& entry) {
  const InstanceRow& row = entry.instance;
  const auto uid = [&](dicom::Tag tag, const std::string& fallback) {
    return uid_or(edited.patch().value(tag).value_or(""), fallback);
  };
  identifiers_ = {uid(dicom::tags::kSopClassUid, row.sop_class_uid),
                  uid(dicom::tags::kSopInstanceUid, row.sop_instance_uid),
                  uid(dicom::tags::kStudyInstanceUid, ""),
                  uid(dicom::tags::kSeriesInstanceUid, ""),
                  edited.text(dicom::tags::kPatientId),
                  edited.text(dicom::tags::kPatientName),
                  edited.text(dicom::tags::kSpecificCharacterSet),
                  row.user_name,
                  entry.delivery.priority};
  return render(edited.patch());
}

Result<void> Payload::render(const dicom::Patch& patch) {
  const auto received = source_length();
  if (!received) return tl::unexpected(received.error());
  std::uint64_t length = *received;
  pieces_ = {dicom::Piece{0, length, {}}};
  if (patch.empty()) return {};
  if (transfer_syntax_.deflated) {
    if (!makes_files_) {
      return failure(ErrorCode::permanent, "what is deflated cannot be changed without a file");
    }
    auto plain = write_out();
    if (!plain) return tl::unexpected(plain.error());
    const auto inflated = plain->length();
    if (!inflated) return tl::unexpected(inflated.error());
    length = *inflated;
    source_ = std::move(*plain);
  }
  auto pieces = patch.render(length);
  if (!pieces) return tl::unexpected(pieces.error());
  pieces_ = std::move(*pieces);
  rewind();
  if (!transfer_syntax_.deflated) return {};
  auto packed = deflate();
  if (!packed) return tl::unexpected(packed.error());
  return take(std::move(*packed));
}

Result<TemporaryFile> Payload::write_out() {
  auto file = TemporaryFile::create(temporary_folder_);
  if (!file) return file;
  const dicom::ScanLimits limits;
  dicom::Inflater inflater(limits.inflated, limits.inflate_ratio);
  const auto append = [&](std::span<const std::byte> bytes) { return file->append(bytes); };
  std::vector<std::byte> buffer(kChunk);
  rewind();
  for (;;) {
    const auto got = read(buffer);
    if (!got) return tl::unexpected(got.error());
    if (*got == 0) break;
    const auto bytes = std::span<const std::byte>(buffer).first(*got);
    const auto done = transfer_syntax_.deflated ? inflater.inflate(bytes, append) : append(bytes);
    if (!done) return tl::unexpected(done.error());
  }
  if (transfer_syntax_.deflated && !inflater.finished()) {
    return failure(ErrorCode::corrupt, "the deflated data set ends before its stream does");
  }
  return file;
}

Result<TemporaryFile> Payload::deflate() {
  auto file = TemporaryFile::create(temporary_folder_);
  if (!file) return file;
  dicom::Deflater deflater;
  std::vector<std::byte> buffer(kChunk);
  for (bool last = false; !last;) {
    const auto got = read(buffer);
    if (!got) return tl::unexpected(got.error());
    last = *got == 0;
    std::string packed;
    const auto deflated = deflater.deflate(std::span(buffer).first(*got), last, packed);
    if (!deflated) return tl::unexpected(deflated.error());
    const auto appended = file->append(std::as_bytes(std::span(packed)));
    if (!appended) return tl::unexpected(appended.error());
  }
  return file;
}

Result<void> Payload::take(TemporaryFile file) {
  const auto length = file.length();
  if (!length) return tl::unexpected(length.error());
  source_ = std::move(file);
  pieces_ = {dicom::Piece{0, *length, {}}};
  rewind();
  return {};
}

Result<std::uint64_t> Payload::source_length() const {
  if (const auto* file = std::get_if<TemporaryFile>(&source_)) return file->length();
  if (const auto* reader = std::get_if<SpoolReader>(&source_)) return reader->data_set_length();
  return kUnknownLength;
}

std::uint64_t Payload::length() const {
  if (std::holds_alternative<ReceivedStream>(source_)) return given_;
  std::uint64_t sum = 0;
  for (const dicom::Piece& piece : pieces_) sum += piece.length;
  return sum;
}

Result<std::size_t> Payload::read_source(std::uint64_t offset, std::span<std::byte> buffer) {
  return std::visit([&](auto& source) { return source.read(offset, buffer); }, source_);
}

Result<std::size_t> Payload::read(std::span<std::byte> buffer) {
  std::size_t done = 0;
  while (done < buffer.size() && piece_ < pieces_.size()) {
    const dicom::Piece& piece = pieces_[piece_];
    const auto wanted = static_cast<std::size_t>(
        std::min<std::uint64_t>(buffer.size() - done, piece.length - in_piece_));
    if (piece.is_new()) {
      std::memcpy(buffer.data() + done, piece.bytes.data() + in_piece_, wanted);
    } else if (wanted > 0) {
      auto got = read_source(piece.offset + in_piece_, buffer.subspan(done, wanted));
      if (!got) return got;
      if (*got < wanted) {
        if (std::holds_alternative<ReceivedStream>(source_)) {
          piece_ = pieces_.size();
          done += *got;
          break;
        }
        return failure(ErrorCode::corrupt, "the file became shorter while it was sent");
      }
    }
    done += wanted;
    in_piece_ += wanted;
    if (in_piece_ == piece.length) {
      ++piece_;
      in_piece_ = 0;
    }
  }
  given_ += done;
  return done;
}

bool Payload::can_rewind() const {
  const auto* stream = std::get_if<ReceivedStream>(&source_);
  return stream == nullptr || stream->is_untouched();
}

void Payload::rewind() {
  given_ = 0;
  piece_ = 0;
  in_piece_ = 0;
}

}  // namespace sluice
