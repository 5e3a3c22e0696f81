// Senders, the program that is killed again and again, and a PACS; and what is to be said
// of it afterwards.
//
//   Soak soak({.instances = 2000, .kills = 200});
//   const Soak::Report report = soak.run();
//   EXPECT_EQ(report.table.lost, 0U);
//
// A life of the program ends at a named point of an instance's way, at a moment of chance,
// or in a power cut that takes away what was not synced, all of it or some. The PACS lives
// on. One thread calls it.
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/crash/generated.h"
#include "tests/crash/oracle.h"
#include "tests/deliver/scripted_pacs.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace sluice::test {

class Soak {
 public:
  struct Options {
    std::size_t instances = 1000;  // to be acknowledged at least
    std::size_t kills = 100;       // at least
    std::chrono::seconds limit{3600};
    int senders = 4;
    std::uint32_t seed = 1;
    bool is_chatty = false;  // a line to stdout now and then
  };
  struct Report {
    Oracle::Table table;
    std::size_t kills = 0;
    std::size_t power_cuts = 0;                 // among the kills
    std::map<std::string, std::size_t> points;  // how often each was the end
    std::string trouble;                        // what else went wrong; ""
  };

  explicit Soak(Options options) : options_(options), random_(options.seed) {
    std::filesystem::create_directories(data_dir());
    std::ofstream(config_file())
        << "[gateway]\ndata_dir = \"" << data_dir() << "\"\nlog_level = \"error\"\n"
        << "[[listener]]\naddress = \"127.0.0.1\"\nport = " << port_
        << "\n[[destination]]\nname = \"pacs\"\nassociations = 3\naddress = "
           "\"dicom://PACS@127.0.0.1:"
        << pacs_.port()
        << "\"\nretry_min = \"20ms\"\nretry_max = \"200ms\"\n"
           "[[filter]]\ntype = \"remap_series_number\"\nrecord_original = false\n"
           "[[route]]\nwhen = { calling_ae_title = \"DISK\" }\nacknowledge = \"stored\"\nfinal = "
           "true\n"
        << kRoute << "[[route]]\n"
        << kRoute;
  }

  Report run() {
    const auto end = std::chrono::steady_clock::now() + options_.limit;
    std::vector<std::thread> senders;
    senders.reserve(static_cast<std::size_t>(options_.senders));
    for (int n = 0; n < options_.senders; ++n) {
      senders.emplace_back([this, n] { send(n % 2 == 0 ? "RELAY" : "DISK"); });
    }
    Report report;
    while (std::chrono::steady_clock::now() < end && report.trouble.empty() &&
           (report.kills < options_.kills || oracle_.acknowledged() < options_.instances)) {
      live_and_die(report);
      if (options_.is_chatty && report.kills % 50 == 0) say(report);
    }
    is_over_ = true;
    for (std::thread& sender : senders) sender.join();
    if (report.trouble.empty()) drain(report);
    report.table = oracle_.table();
    return report;
  }

  // One life that ends at a fault (without root and seed of its own), in which one sender
  // sends three instances, and what a life without a fault makes of it. nullopt when the
  // fault never came.
  std::optional<Report> cut_once(const std::string& fault) {
    Report report;
    const auto process = start(fault + " do=cut root=" + data_dir());
    std::unique_ptr<Sender> sender;
    std::uint64_t next = 0;
    while (next < 3 && !process->wait(std::chrono::milliseconds(0))) {
      try {
        sender = std::make_unique<Sender>(port_, next % 2 == 0 ? "RELAY" : "DISK");
      } catch (const std::exception&) {
        // Without a pause thousands of tries would use up the ports of this machine.
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;  // it does not listen yet
      }
      const Generated instance = generated_instance(20 * next++);
      const auto status = sender->store(instance);
      if (status) {
        oracle_.answered(instance, *status);
      } else {
        oracle_.unanswered(instance);
      }
    }
    if (sender != nullptr) sender->release();
    sender.reset();
    process->signal(SIGTERM);
    const auto how = process->wait();
    if (how == 0) return std::nullopt;
    if (how != -SIGKILL) report.trouble = ended_by_itself(how, *process);
    drain(report);
    report.table = oracle_.table();
    return report;
  }

  static void print(const Report& report) {
    const auto line = [](const char* name, std::size_t value) {
      std::cout << name << '\t' << value << '\n';
    };
    line("acked", report.table.acknowledged);
    line("refused", report.table.refused);
    line("delivered", report.table.delivered);
    line("duplicates", report.table.duplicates);
    line("lost", report.table.lost);
    line("altered", report.table.altered);
    line("refused but delivered", report.table.forwarded);
    line("kills", report.kills);
    line("of them power cuts", report.power_cuts);
    for (const auto& [point, count] : report.points) {
      std::cout << "  " << count << "\tat: " << point << '\n';
    }
    if (!report.trouble.empty()) std::cout << "trouble\t" << report.trouble << '\n';
  }

 private:
  // The steps of an instance's way that a life may end at, before or behind.
  static const std::vector<std::string>& points() {
    static const std::vector<std::string> all = {
        "call=open path=.part",
        "call=write path=.part",
        "call=fdatasync path=.part",
        "call=close path=.part",
        "call=rename path=.dcm",
        "call=fsync path=/spool",
        "call=write path=queue.db",
        "call=fdatasync path=queue.db",
        "call=write path=ledger.db",
        "call=fdatasync path=ledger.db",
        "call=rename path=.spare",
        "call=fsync path=.spare",
        "call=write path=.spare",
        "call=fdatasync path=.spare",
        "call=send",
        "call=any",
    };
    return all;
  }

  static constexpr const char* kRoute =
      "filters = [\"sanitize_uids\", \"merge_studies\", \"remap_series_number\"]\n"
      "destinations = [\"pacs\"]\n";

  [[nodiscard]] std::string data_dir() const { return folder_.path("data"); }
  [[nodiscard]] std::string config_file() const { return folder_.path("sluice.toml"); }

  std::uint32_t below(std::uint32_t limit) {
    return std::uniform_int_distribution<std::uint32_t>(0, limit - 1)(random_);
  }

  [[nodiscard]] std::unique_ptr<Process> start(const std::string& fault) const {
    std::vector<std::string> command;
    if (!fault.empty()) command = {"/usr/bin/env", "SLUICE_TEST_FAULT=" + fault};
    for (const std::string& word : {std::string(SLUICE_WITH_FAULTS), std::string("serve"),
                                    std::string("--config"), config_file()}) {
      command.push_back(word);
    }
    return std::make_unique<Process>(std::move(command));
  }

  static std::string ended_by_itself(std::optional<int> how, const Process& process) {
    return "ended by itself, " + std::to_string(how.value_or(-999)) + ": " + process.output();
  }

  void live_and_die(Report& report) {
    std::string point = "a moment of chance";
    std::string fault;
    bool is_cut = false;
    constexpr std::uint32_t kFew = 12;
    constexpr std::uint32_t kMany = 60;
    if (below(4) != 0) {
      point = points()[below(static_cast<std::uint32_t>(points().size()))];
      is_cut = below(3) == 0;
      point += below(2) == 0 ? " when=before" : " when=after";
      // The ledger is written once a series: a later call would not come in time.
      const bool is_rare = point.find("ledger.db") != std::string::npos;
      fault =
          point + " nth=" + std::to_string(1 + below(is_rare || below(2) == 0 ? kFew : kMany)) +
          (is_cut ? " do=cut root=" + data_dir() + " seed=" + std::to_string(below(2) * below(1000))
                  : " do=kill");
    }
    const auto process = start(fault);
    // Some points do not come: then chance ends this life, too.
    const auto ended =
        process->wait(std::chrono::milliseconds(fault.empty() ? 30 + below(250) : 1500));
    if (!ended) {
      process->signal(SIGKILL);
      is_cut = false;
      point = "a moment of chance";
    }
    const auto how = ended ? ended : process->wait();
    // The start told of what the life before it had left.
    if (how != -SIGKILL || !adds_up(*process)) {
      report.trouble = ended_by_itself(how, *process) + " (" + fault + ")";
      return;
    }
    ++report.kills;
    if (is_cut) ++report.power_cuts;
    ++report.points[point];
  }

  static bool adds_up(const Process& process) {
    return process.output().find("does not add up") == std::string::npos;
  }

  // Each sender has instances of its own, and sends one until it is acknowledged.
  void send(const std::string& calling) {
    std::unique_ptr<Sender> sender;
    while (!is_over_) {
      const Generated instance = generated_instance(next_++);
      for (bool acknowledged = false; !acknowledged && !is_over_;) {
        try {
          if (sender == nullptr) sender = std::make_unique<Sender>(port_, calling);
        } catch (const std::exception&) {
          std::this_thread::sleep_for(std::chrono::milliseconds(5));  // it is being restarted
          continue;
        }
        const auto status = sender->store(instance);
        if (!status) {
          oracle_.unanswered(instance);
          sender.reset();
          continue;
        }
        oracle_.answered(instance, *status);
        acknowledged = *status == 0;
      }
    }
  }

  // A last life without an end, until everything is where it belongs.
  void drain(Report& report) {
    const auto process = start("");
    const bool listens = wait_for_port(port_);
    if (!listens) {
      const auto ended = process->wait(std::chrono::milliseconds(0));
      report.trouble = std::string("does not listen, ") + (ended ? "has ended: " : "still runs: ") +
                       process->output();
    }
    std::string rests;
    const auto is_done = [&] { return oracle_.is_complete() && (rests = what_rests()).empty(); };
    if (listens && !wait_until(is_done, std::chrono::seconds(120))) {
      report.trouble = "not everything is delivered: " + process->output() + rests;
    }
    if (!adds_up(*process)) report.trouble += process->output();
    process->signal(SIGTERM);
    const auto exit_code = process->wait();
    if (exit_code != 0 && report.trouble.empty()) {
      report.trouble =
          "exit code " + std::to_string(exit_code.value_or(-999)) + ": " + process->output();
    }
  }

  // The queue's sums, as its command says them, unless all that it ever accepted was delivered
  // and is all that was acknowledged, and the PACS has counted no less; "": it was. What was
  // never acknowledged may be left as a file without a row, which is reported; or have been
  // relayed before its row was written.
  [[nodiscard]] std::string what_rests() const {
    Process sum({SLUICE_WITH_FAULTS, "queue", "sum", "--json", "--config", config_file()});
    static_cast<void>(sum.wait());
    const auto sums = nlohmann::json::parse(sum.output(), nullptr, false);
    const Oracle::Table table = oracle_.table();
    const std::size_t arrived = table.delivered;
    const auto is_right = [&] {
      const auto& deliveries = sums.at("deliveries");
      const std::size_t accepted = sums.at("instances").at("accepted");
      return sums.at("adds_up") && table.acknowledged <= accepted && accepted <= arrived &&
             (accepted == 0 ? deliveries.empty()
                            : deliveries.size() == 1 && deliveries[0].at("accepted") == accepted &&
                                  deliveries[0].at("delivered") == accepted);
    };
    if (sums.is_object() && is_right()) return {};
    return std::to_string(arrived) + " arrived: " + sum.output();
  }

  void say(const Report& report) const {
    std::cout << report.kills << " kills, " << oracle_.acknowledged() << " acknowledged"
              << std::endl;
  }

  const Options options_;
  std::minstd_rand random_;
  TemporaryFolder folder_;
  // One that nobody gets by chance: the same over all lives, and between two of them nobody
  // holds it.
  static std::uint16_t lasting_port() {
    std::random_device random;
    for (;;) {
      constexpr unsigned kFirst = 10'240;
      constexpr unsigned kBelowEphemeral = 32'768;
      const auto port = static_cast<std::uint16_t>(kFirst + random() % (kBelowEphemeral - kFirst));
      if (is_free(port)) return port;
    }
  }

  const std::uint16_t port_ = lasting_port();
  Oracle oracle_;
  ScriptedPacs pacs_{[this](const StoredByPacs& stored, int) {
                       oracle_.delivered(stored);
                       return Reaction{};
                     },
                     ScriptedPacs::Keep::nothing};
  std::atomic<std::uint64_t> next_ = 0;
  std::atomic<bool> is_over_ = false;
};

}  // namespace sluice::test
