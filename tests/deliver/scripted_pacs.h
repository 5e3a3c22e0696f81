// A PACS in the test's process, made of bytes, that is as good or as bad as a test wants:
// it can stay silent, reject, answer with any status, break off anywhere. It keeps what
// it took. Destroy what is connected to it first.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/raw_peer.h"
#include "tests/support/wrong_answers.h"

namespace sluice::test {

struct StoredByPacs {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string transfer_syntax_uid;
  std::string data_set;
  int priority = -1;  // (0000,0700)
};

// What it does with one C-STORE.
struct Reaction {
  std::size_t status = 0;
  std::string comment = {};
  std::size_t message_id_added = 0;   // 1: the answer is to another message
  std::string sop_instance_uid = {};  // "": the right one
  bool silent = false;                // no answer at all
  bool close = false;                 // instead of an answer
  bool release_behind = false;        // closes the association after the answer
};

enum class Greeting { accept, silence, close, reject_transient, reject_permanent, abort };

// What it does otherwise than a PACS should. Each may be left out; one that returns false
// closes the connection.
struct Part {
  std::function<bool(RawPeer&)> connected = {};   // before it reads the request
  std::function<bool(RawPeer&)> associated = {};  // after it has accepted
  // Each PDU, 0 the request, before what it does about it.
  std::function<bool(RawPeer&, int number, const std::string& pdu)> received = {};
  // Instead of the response; then it reads until the other side closes.
  std::function<void(RawPeer&, const Asked&)> answer = {};
};

class ScriptedPacs {
 public:
  using React = std::function<Reaction(const StoredByPacs& stored, int number)>;

  enum class Keep { all, nothing };  // of what comes: a soak would fill the memory

  explicit ScriptedPacs(React react = {}, Keep keep = Keep::all)
      : react_(std::move(react)), keep_(keep) {
    acceptor_ = std::thread([this] { accept(); });
  }
  ~ScriptedPacs() {
    stopping_ = true;
    try {
      static_cast<void>(RawPeer::connect(port()));  // wakes accept()
    } catch (const std::exception&) {
    }
    acceptor_.join();
    for (Serving& serving : threads_) serving.thread.join();
  }
  ScriptedPacs(const ScriptedPacs&) = delete;
  ScriptedPacs& operator=(const ScriptedPacs&) = delete;

  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }
  void greet(Greeting greeting) { greeting_ = greeting; }
  // On the first so many associations. Before somebody connects.
  void play(Part part, int associations) {
    part_ = std::move(part);
    parts_played_ = associations;
  }
  // Only these, the first proposed of them; empty: any.
  void take_only(std::set<std::string> transfer_syntaxes) {
    const std::lock_guard lock(mutex_);
    transfer_syntaxes_ = std::move(transfer_syntaxes);
  }
  void refuse_class(const std::string& sop_class_uid) {
    const std::lock_guard lock(mutex_);
    refused_class_ = sop_class_uid;
  }

  // Everything that came whole, whatever was answered.
  [[nodiscard]] std::vector<StoredByPacs> stored() const {
    const std::lock_guard lock(mutex_);
    return stored_;
  }
  [[nodiscard]] std::size_t count_of(const std::string& sop_instance_uid) const {
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (const StoredByPacs& one : stored_) {
      count += one.sop_instance_uid == sop_instance_uid ? 1U : 0U;
    }
    return count;
  }
  // The A-ASSOCIATE-RQs, in order.
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  // Responses that were right, and sent.
  [[nodiscard]] int right_answers() const { return right_answers_; }
  [[nodiscard]] int associations() const { return associations_; }
  [[nodiscard]] int releases() const { return releases_; }
  [[nodiscard]] int aborts() const { return aborts_; }

 private:
  struct Context {
    std::string abstract_syntax;
    std::string transfer_syntax;  // "" when refused
  };

  static std::size_t number_at(const std::string& bytes, std::size_t at, std::size_t length) {
    std::size_t number = 0;
    for (std::size_t i = 0; i < length; ++i) {
      number = number << 8U | static_cast<unsigned char>(bytes.at(at + i));
    }
    return number;
  }

  void accept() {
    for (;;) {
      RawPeer peer = listener_.accept();
      if (stopping_) return;
      const bool plays = associations_++ < parts_played_;
      threads_.remove_if([](Serving& serving) {
        if (!serving.done) return false;
        serving.thread.join();
        return true;
      });
      Serving& serving = threads_.emplace_back();
      serving.thread = std::thread([this, plays, &serving, connected = std::move(peer)]() mutable {
        serve(connected, plays ? part_ : Part{});
        connected.close();
        serving.done = true;
      });
    }
  }

  void serve(RawPeer& peer, const Part& part) {
    if (part.connected && !part.connected(peer)) return;
    const std::string request = peer.receive_pdu();
    if (request.empty() || request[0] != 1) return;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    int pdus = 0;
    if (part.received && !part.received(peer, pdus++, request)) return;
    switch (greeting_.load()) {
      case Greeting::accept:
        break;
      case Greeting::silence:
        static_cast<void>(peer.is_closed());
        return;
      case Greeting::close:
        return;
      case Greeting::reject_transient:
        peer.send(reject_pdu(2, 3, 2));
        return;
      case Greeting::reject_permanent:
        peer.send(reject_pdu(1, 1, 7));
        return;
      case Greeting::abort:
        peer.send(abort_pdu(2, 0));
        return;
    }
    std::vector<std::pair<int, Context>> contexts = read_contexts(request);
    peer.send(answer(contexts));
    if (part.associated && !part.associated(peer)) return;
    int number = 0;
    while (serve_message(peer, contexts, part, pdus, number++)) continue;
  }

  std::vector<std::pair<int, Context>> read_contexts(const std::string& request) {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<int, Context>> contexts;
    for (std::size_t at = 74; at + 4 <= request.size();) {
      const std::size_t end = at + 4 + number_at(request, at + 2, 2);
      if (request[at] == 0x20) {
        Context context;
        for (std::size_t sub = at + 8; sub + 4 <= end;) {
          const std::size_t length = number_at(request, sub + 2, 2);
          const std::string uid = request.substr(sub + 4, length);
          if (request[sub] == 0x30) context.abstract_syntax = uid;
          const bool taken = transfer_syntaxes_.empty() || transfer_syntaxes_.contains(uid);
          if (request[sub] == 0x40 && taken && context.transfer_syntax.empty() &&
              context.abstract_syntax != refused_class_) {
            context.transfer_syntax = uid;
          }
          sub += 4 + length;
        }
        contexts.emplace_back(static_cast<unsigned char>(request[at + 4]), context);
      }
      at = end;
    }
    return contexts;
  }

  static std::string answer(const std::vector<std::pair<int, Context>>& contexts) {
    std::string items = item(0x10, "1.2.840.10008.3.1.1.1");
    for (const auto& [id, context] : contexts) {
      const bool refused = context.transfer_syntax.empty();
      items +=
          item(0x21, std::string{static_cast<char>(id), 0, static_cast<char>(refused ? 4 : 0), 0} +
                         item(0x40, refused ? kImplicit : context.transfer_syntax));
    }
    return pdu(2, big16(1) + big16(0) + ae_title("PACS") + ae_title("SLUICE") +
                      std::string(32, '\0') + items + user_information());
  }

  bool serve_message(RawPeer& peer, const std::vector<std::pair<int, Context>>& contexts,
                     const Part& part, int& pdus, int number) {
    std::string command;
    StoredByPacs stored;
    int context_id = 0;
    for (bool whole = false; !whole;) {
      const std::string bytes = peer.receive_pdu();
      if (bytes.empty()) return false;
      if (part.received && !part.received(peer, pdus++, bytes)) return false;
      if (bytes[0] == 5) {
        ++releases_;
        peer.send(release_response());
        static_cast<void>(peer.is_closed());
        return false;
      }
      if (bytes[0] != 4) {
        ++aborts_;
        return false;
      }
      for (std::size_t at = 6; at + 6 <= bytes.size();) {
        const std::size_t length = number_at(bytes, at, 4);
        context_id = static_cast<unsigned char>(bytes[at + 4]);
        const int flags = static_cast<unsigned char>(bytes[at + 5]);
        ((flags & 1) != 0 ? command : stored.data_set) += bytes.substr(at + 6, length - 2);
        whole = flags == 2;
        at += 4 + length;
      }
    }
    for (const auto& [id, context] : contexts) {
      if (id == context_id) stored.transfer_syntax_uid = context.transfer_syntax;
    }
    stored.sop_class_uid = command_text(command, 0x0002);
    stored.sop_instance_uid = command_text(command, 0x1000);
    stored.priority = static_cast<unsigned char>(command_text(command, 0x0700).at(0));
    if (part.answer) {
      part.answer(peer, {context_id, message_id_in(command), stored.sop_class_uid,
                         stored.sop_instance_uid});
      while (!peer.receive(1).empty()) continue;
      return false;
    }
    const Reaction reaction = react_ ? react_(stored, number) : Reaction{};
    if (keep_ == Keep::all) {
      const std::lock_guard lock(mutex_);
      stored_.push_back(stored);
    }
    return respond(peer, context_id, command, stored, reaction);
  }

  bool respond(RawPeer& peer, int context_id, const std::string& command,
               const StoredByPacs& stored, const Reaction& reaction) {
    if (reaction.close) return false;
    if (reaction.silent) {
      static_cast<void>(peer.is_closed());
      return false;
    }
    const std::size_t message_id = message_id_in(command);
    std::string elements =
        element(0x0002, stored.sop_class_uid) + element(0x0100, little16(0x8001)) +
        element(0x0120, little16(message_id + reaction.message_id_added)) +
        element(0x0800, little16(0x0101)) + element(0x0900, little16(reaction.status));
    if (!reaction.comment.empty()) elements += element(0x0902, reaction.comment, ' ');
    elements += element(0x1000, reaction.sop_instance_uid.empty() ? stored.sop_instance_uid
                                                                  : reaction.sop_instance_uid);
    const bool is_right = reaction.message_id_added == 0 && reaction.sop_instance_uid.empty();
    right_answers_ += is_right ? 1 : 0;
    if (!peer.send(data_pdu(pdv(context_id, true, true, command_set(elements))))) return false;
    return !reaction.release_behind;
  }

  static std::size_t message_id_in(const std::string& command) {
    const std::string id = command_text(command, 0x0110);
    return static_cast<unsigned char>(id.at(0)) +
           (std::size_t{static_cast<unsigned char>(id.at(1))} << 8U);
  }

  // The value of an element (0000,eeee); numbers as their bytes.
  static std::string command_text(const std::string& command, std::size_t wanted) {
    for (std::size_t at = 0; at + 8 <= command.size();) {
      const auto byte = [&](std::size_t i) {
        return std::size_t{static_cast<unsigned char>(command.at(at + i))};
      };
      const std::size_t length = byte(4) | byte(5) << 8U | byte(6) << 16U | byte(7) << 24U;
      std::string value = command.substr(at + 8, length);
      if ((byte(2) | byte(3) << 8U) == wanted) {
        if (wanted != 0x0110 && !value.empty() && value.back() == '\0') value.pop_back();
        return value;
      }
      at += 8 + length;
    }
    return "";
  }

  struct Serving {
    std::thread thread;
    std::atomic<bool> done = false;
  };

  React react_;
  Keep keep_;
  RawListener listener_;
  std::atomic<Greeting> greeting_ = Greeting::accept;
  std::atomic<bool> stopping_ = false;
  Part part_;
  std::atomic<int> parts_played_ = 0;
  std::atomic<int> right_answers_ = 0;
  std::atomic<int> associations_ = 0;
  std::atomic<int> releases_ = 0;
  std::atomic<int> aborts_ = 0;
  mutable std::mutex mutex_;
  std::set<std::string> transfer_syntaxes_;
  std::string refused_class_;
  std::vector<StoredByPacs> stored_;
  std::list<Serving> threads_;  // of the accepting thread, and after it
  std::vector<std::string> requests_;
  std::thread acceptor_;
};

}  // namespace sluice::test
