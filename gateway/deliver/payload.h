// One instance as one route sends it to one destination: the bytes of the spooled data set with the
// chain's edits, and the identifiers that go into command and file names.
//
// The digest is checked before the first byte is given out, the header is scanned
// anew and the chain runs again, so every attempt sends the same bytes; what is sent while it is
// received goes by the chain that has just run. Memory: the header, not the instance. A Payload
// belongs to one thread; the spool must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/deliver/received_stream.h"
#include "gateway/deliver/temporary_file.h"
#include "gateway/dicom/patch.h"
#include "gateway/dicom/transfer_syntax.h"
#include "gateway/ledger/ledger.h"
#include "gateway/net/requestor.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/queue/queue.h"
#include "gateway/spool/spool.h"

namespace sluice {

struct Identifiers {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string patient_id;
  std::string patient_name;            // of these two, as in the data set:
  std::string specific_character_set;  // their character set
  std::string user_name;               // for a destination that is told it; "": none
  config::Priority priority = config::Priority::medium;  // in the command
};

// What the row says of where it came from.
[[nodiscard]] Provenance provenance_of(const InstanceRow& instance);

// The header of a spooled instance, its digest checked. Errors: corrupt, transient.
[[nodiscard]] Result<dicom::Header> read_header(const Spool& spool, const InstanceRow& instance);
// The same beside the process that has the spool; `folder` is the spool's.
[[nodiscard]] Result<dicom::Header> read_header_beside(const std::string& folder,
                                                       const InstanceRow& instance);

class Payload : public net::DataSource {
 public:
  struct Origin {
    const Spool& spool;
    const Pipeline& pipeline;
    Ledger& ledger;
    std::string temporary_folder;
  };

  // Errors: corrupt, when the file is not what was received; transient; permanent
  // and configuration, when the chain gives no bytes to send any more.
  [[nodiscard]] static Result<Payload> open(const QueueEntry& entry, const Origin& origin,
                                            Verdicts verdicts = Verdicts::binding);

  using Source = std::variant<SpoolReader, TemporaryFile, ReceivedStream>;

  // Of an instance that is being received, as its route decided. It makes no files. Errors:
  // permanent, also when what is to be done to it needs one.
  [[nodiscard]] static Result<Payload> open_received(Source source, const Instance& edited,
                                                     const QueueEntry& entry);

  // The same data set in another uncompressed transfer syntax. What is in the header
  // is compared with what came out: nothing is lost silently. Rewinds this.
  // Errors: permanent, when it cannot be converted; transient.
  [[nodiscard]] Result<Payload> converted(std::string_view transfer_syntax_uid);

  [[nodiscard]] const Identifiers& identifiers() const { return identifiers_; }
  [[nodiscard]] const dicom::TransferSyntax& transfer_syntax() const { return transfer_syntax_; }
  [[nodiscard]] std::uint64_t length() const;  // bytes of the data set as sent; of a stream, so far

  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> buffer) override;
  // False once part of a stream was read, which does not come again.
  [[nodiscard]] bool can_rewind() const;
  void rewind();

 private:
  Payload(Source source, dicom::TransferSyntax syntax, std::string temporary_folder);
  [[nodiscard]] Result<void> run_chain(const dicom::Header& header, const QueueEntry& entry,
                                       const Origin& origin, Verdicts verdicts);
  [[nodiscard]] Result<void> take(const Instance& edited, const QueueEntry& entry);
  [[nodiscard]] Result<void> render(const dicom::Patch& patch);
  [[nodiscard]] Result<TemporaryFile> write_out();  // inflated, where it is deflated
  [[nodiscard]] Result<TemporaryFile> deflate();
  [[nodiscard]] Result<void> take(TemporaryFile file);
  [[nodiscard]] Result<std::size_t> read_source(std::uint64_t offset, std::span<std::byte> buffer);
  [[nodiscard]] Result<std::uint64_t> source_length() const;

  Source source_;
  dicom::TransferSyntax transfer_syntax_;
  std::string temporary_folder_;
  Identifiers identifiers_;
  std::vector<dicom::Piece> pieces_;
  std::size_t piece_ = 0;  // the next byte to be read
  std::uint64_t in_piece_ = 0;
  bool makes_files_ = true;
  std::uint64_t given_ = 0;  // bytes of a stream
};

}  // namespace sluice
