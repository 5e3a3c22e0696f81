#include "gateway/queue/queue_record.h"

#include <cstdint>
#include <utility>

#include "gateway/queue/queue_entry.h"

namespace sluice {
namespace {

// Numbers as 64 bits, little endian; texts behind their length.
class RecordWriter {
 public:
  void operator()(std::uint64_t number) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
      bytes_ += static_cast<char>(number >> shift & 0xFFU);
    }
  }
  void operator()(Time time) { (*this)(static_cast<std::uint64_t>(rows::to_microseconds(time))); }
  void operator()(const std::string& text) {
    (*this)(text.size());
    bytes_ += text;
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : bytes_(bytes) {}

  void operator()(std::uint64_t& number) {
    const std::string_view part = take(8);
    number = 0;
    for (std::size_t i = part.size(); i-- > 0;) {
      number = number << 8U | static_cast<unsigned char>(part[i]);
    }
  }
  void operator()(Time& time) {
    std::uint64_t number = 0;
    (*this)(number);
    time = rows::to_time(static_cast<std::int64_t>(number));
  }
  void operator()(std::string& text) {
    std::uint64_t length = 0;
    (*this)(length);
    text = std::string(take(length));
  }
  // All was there, and nothing is left.
  [[nodiscard]] bool is_whole() const { return !is_short_ && bytes_.empty(); }

 private:
  std::string_view take(std::uint64_t length) {
    is_short_ = is_short_ || length > bytes_.size();
    if (is_short_) return {};
    const std::string_view part = bytes_.substr(0, static_cast<std::size_t>(length));
    bytes_.remove_prefix(part.size());
    return part;
  }

  std::string_view bytes_;
  bool is_short_ = false;
};

// The columns, for both directions.
template <typename Row, typename Field>
void each_column(Row& row, Field& field) {
  field(row.received_at);
  field(row.data_set_offset);
  field(row.data_set_length);
  for (auto* text : {&row.id, &row.calling_ae_title, &row.called_ae_title, &row.peer_address,
                     &row.listener, &row.sop_class_uid, &row.sop_instance_uid,
                     &row.study_instance_uid, &row.series_instance_uid, &row.transfer_syntax_uid,
                     &row.digest, &row.user_name, &row.irregular_tags}) {
    field(*text);
  }
}

template <typename Row, typename Field>
void each_column_of_delivery(Row& row, Field& field) {
  for (auto* text : {&row.route, &row.destination, &row.reason, &row.status}) field(*text);
}

// Bits of the number behind the instance. A record without the second is of an older version.
constexpr std::uint64_t kHasFile = 1;
constexpr std::uint64_t kHasPriorities = 2;

// Whoever sent it is gone.
DeliveryState state_when_read(std::string_view name) {
  const DeliveryState state = parse_delivery_state(name).value_or(DeliveryState::held);
  return state == DeliveryState::sending ? DeliveryState::ready : state;
}

}  // namespace

std::string record_of(const QueueRecord& record) {
  RecordWriter writer;
  each_column(record.instance, writer);
  writer(kHasPriorities | (record.instance.has_file ? kHasFile : 0U));
  writer(record.deliveries.size());
  for (const DeliveryRow& delivery : record.deliveries) {
    writer(std::string(to_string(delivery.state)));
    each_column_of_delivery(delivery, writer);
    writer(static_cast<std::uint64_t>(delivery.priority));
  }
  return writer.take();
}

Result<QueueRecord> record_from(std::string_view bytes) {
  RecordReader reader(bytes);
  QueueRecord record;
  each_column(record.instance, reader);
  std::uint64_t has = 0;
  reader(has);
  record.instance.has_file = (has & kHasFile) != 0;
  std::uint64_t count = 0;
  reader(count);
  bool is_known = has <= (kHasFile | kHasPriorities);
  for (std::uint64_t n = 0; n < count && n < bytes.size(); ++n) {
    DeliveryRow& delivery = record.deliveries.emplace_back();
    delivery.instance_id = record.instance.id;
    std::string state;
    reader(state);
    delivery.state = state_when_read(state);
    delivery.attempts = delivery.state == DeliveryState::delivered ? 1 : 0;
    each_column_of_delivery(delivery, reader);
    auto priority = static_cast<std::uint64_t>(delivery.priority);
    if ((has & kHasPriorities) != 0) reader(priority);
    is_known = is_known && priority < config::kPriorityNames.size();
    delivery.priority = static_cast<config::Priority>(priority);
  }
  if (reader.is_whole() && is_known) return record;
  return failure(ErrorCode::corrupt, "a record of the journal is not what was written");
}

}  // namespace sluice
