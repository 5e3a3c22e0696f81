// `sluice`: the command line.
#include <algorithm>
#include <exception>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "gateway/command/command.h"
#include "gateway/config/quantity.h"

namespace {

using namespace sluice;  // NOLINT(google-build-using-namespace): this file is the program
namespace command = sluice::command;

struct Arguments {
  std::string config = "sluice.toml";
  bool json = false;
  std::string check_file;
  command::CheckOptions check;
  command::ExplainOptions explain;
  command::TestOptions test;
  command::ReplayOptions replay;
  std::string since;
  std::vector<std::string> ids;
  std::vector<std::string> states;
  command::QueueOptions queue;
  std::string uid;
  std::string report_since = "24h";
};

void add_common(CLI::App& app, Arguments& arguments, bool with_json = true) {
  app.add_option("-c,--config", arguments.config, "the configuration file")->capture_default_str();
  if (with_json) app.add_flag("--json", arguments.json, "one JSON document on stdout");
}

void add_filter(CLI::App& app, Arguments& arguments) {
  QueueFilter& filter = arguments.queue.filter;
  app.add_option("--destination", filter.destination, "only those for this destination");
  app.add_option("--sop-instance-uid", filter.sop_instance_uid,
                 "only this instance, by its UID as received");
  app.add_option(
      "--state", arguments.states,
      "only in this state: ready, sending, delivered, deferred, held, quarantined, dropped, "
      "discarded, rejected; may be given again");
  app.add_flag("--all", arguments.queue.all, "without any other limit");
}

// --state, given as words. False after a message.
bool read_states(Arguments& arguments) {
  // What was rejected has no delivery that could be in a state.
  const auto rejected = std::erase(arguments.states, "rejected");
  if (rejected > 0 || !arguments.states.empty()) {
    arguments.queue.rejections = rejected > 0;
    arguments.queue.deliveries = !arguments.states.empty();
  }
  for (const std::string& word : arguments.states) {
    const auto state = parse_delivery_state(word);
    if (!state) {
      std::cerr << "sluice: --state: there is no state '" << word << "'\n";
      return false;
    }
    arguments.queue.filter.states.push_back(*state);
  }
  return true;
}

// Runs one of the queue's commands for each id, or once for the filter alone.
int for_each_id(const Arguments& arguments,
                int (*run)(const std::string&, const command::QueueOptions&)) {
  command::QueueOptions options = arguments.queue;
  options.json = arguments.json;
  if (arguments.ids.empty()) return run(arguments.config, options);
  int exit_code = command::kOk;
  for (const std::string& id : arguments.ids) {
    options.filter.instance_id = id;
    const int one = run(arguments.config, options);
    if (one != command::kOk) exit_code = one;
  }
  return exit_code;
}

void add_reason(CLI::App& sub, Arguments& arguments) {
  sub.add_option("--reason", arguments.queue.reason, "why, for the record")
      ->required()
      ->check([](const std::string& reason) {
        const bool blank = reason.find_first_not_of(" \t") == std::string::npos;
        return blank ? std::string("must say why") : std::string();
      });
}

void add_queue(CLI::App& app, Arguments& arguments, std::optional<int>& exit_code) {
  CLI::App* queue = app.add_subcommand("queue", "what waits, rests or was sent");
  queue->require_subcommand(1);
  CLI::App* list = queue->add_subcommand(
      "list", "deliveries that wait or rest, oldest first; --all: history too");
  add_common(*list, arguments);
  add_filter(*list, arguments);
  list->add_option("--limit", arguments.queue.filter.limit, "at most so many")
      ->capture_default_str();
  list->callback([&] {
    if (arguments.states.empty() && !arguments.queue.all) {
      arguments.states = {"ready", "sending", "deferred", "held", "quarantined", "rejected"};
    }
    if (!read_states(arguments)) throw CLI::RuntimeError(command::kUsage);
    exit_code = for_each_id(arguments, command::queue_list);
  });
  CLI::App* sum = queue->add_subcommand(
      "sum", "all that was ever accepted, and what became of it; exit code 4: it does not add up");
  add_common(*sum, arguments);
  sum->callback([&] { exit_code = command::queue_sum(arguments.config, arguments.json); });
  const auto add_with_ids = [&](const char* name, const char* help, bool required, auto run) {
    CLI::App* sub = queue->add_subcommand(name, help);
    add_common(*sub, arguments);
    auto* ids = sub->add_option("id", arguments.ids, "of instances, as `queue list` shows them");
    if (required) ids->required();
    if (!required) add_filter(*sub, arguments);
    sub->callback([&arguments, &exit_code, run] {
      if (!read_states(arguments)) throw CLI::RuntimeError(command::kUsage);
      exit_code = for_each_id(arguments, run);
    });
    return sub;
  };
  add_with_ids("show", "all that is known of instances", true, command::queue_show);
  add_with_ids("retry", "held, deferred and quarantined ones go on at once", false,
               command::queue_retry);
  CLI::App* release = add_with_ids(
      "release", "quarantined ones are delivered despite the verdict; who and why stay on record",
      true, command::queue_release);
  release->add_option("--destination", arguments.queue.destinations,
                      "where to; may be given again; default: where their route leads");
  CLI::App* discard =
      add_with_ids("discard", "ends deliveries for good; who and why stay on record", false,
                   command::queue_discard);
  for (CLI::App* sub : {release, discard}) add_reason(*sub, arguments);
}

void add_check(CLI::App& app, Arguments& arguments, std::optional<int>& exit_code) {
  CLI::App* check = app.add_subcommand("check", "all mistakes of a configuration");
  check->add_option("file", arguments.check_file, "the configuration file")->required();
  check->add_flag("--json", arguments.check.json, "one JSON document on stdout");
  CLI::Option* connect =
      check->add_flag("--connect", arguments.check.connect,
                      "then tries each destination, sends nothing, and tells what it accepts; "
                      "exit code 4: one does not work");
  check
      ->add_option("--destination", arguments.check.destinations,
                   "tries only this one; may be given again")
      ->allow_extra_args(false)
      ->needs(connect);
  check->callback([&] { exit_code = command::check(arguments.check_file, arguments.check); });
}

void add_explain(CLI::App& app, Arguments& arguments, std::optional<int>& exit_code) {
  CLI::App* explain =
      app.add_subcommand("explain", "what would become of an image; sends and writes nothing");
  add_common(*explain, arguments);
  explain->add_option("image", arguments.explain.images, "DICOM Part 10 files")->required();
  explain
      ->add_option("--calling-ae-title", arguments.explain.calling_ae_title, "as if it came from")
      ->capture_default_str();
  explain->add_option("--called-ae-title", arguments.explain.called_ae_title, "as if it called")
      ->capture_default_str();
  explain->add_option("--peer-address", arguments.explain.peer_address, "as if it came from")
      ->capture_default_str();
  explain->add_option("--listener", arguments.explain.listener,
                      "as if it came in at; default: the first");
  explain->callback([&] {
    arguments.explain.json = arguments.json;
    exit_code = command::explain(arguments.config, arguments.explain);
  });
}

void add_test(CLI::App& app, Arguments& arguments, std::optional<int>& exit_code) {
  CLI::App* test = app.add_subcommand(
      "test", "runs the [[test]] tables of configurations; sends and writes nothing");
  test->add_option("file", arguments.test.files,
                   "a configuration, or a file of tests that names one")
      ->required();
  test->add_flag("--json", arguments.test.json, "one JSON document on stdout");
  test->callback([&] { exit_code = command::test(arguments.test); });
}

void add_replay(CLI::App& app, Arguments& arguments, std::optional<int>& exit_code) {
  CLI::App* replay = app.add_subcommand(
      "replay",
      "what would become otherwise, with this configuration, of what waits or rests; sends and "
      "writes nothing; exit code 5: something would");
  add_common(*replay, arguments);
  command::ReplayOptions& options = arguments.replay;
  replay->add_option("--old", options.old_config,
                     "the configuration to compare with; default: what was decided at receipt");
  replay->add_option("--data-dir", options.data_dir,
                     "whose images; default: data_dir of the configuration");
  replay->add_option("--since", arguments.since, "only what came in so long: 30min, 1h, 2d")
      ->check([](const std::string& text) {
        return config::parse_duration(text) ? std::string()
                                            : "must be a duration such as 1h; units are " +
                                                  std::string(config::kDurationUnits);
      });
  replay->callback([&] {
    options.since = config::parse_duration(arguments.since);
    options.json = arguments.json;
    exit_code = command::replay(arguments.config, options);
  });
}

void add_fault(CLI::App& app, Arguments& arguments, std::optional<int>& exit_code) {
  CLI::App* fault = app.add_subcommand("fault", "whether storage has failed");
  fault->require_subcommand(1);
  CLI::App* show = fault->add_subcommand("show", "since when and why");
  add_common(*show, arguments);
  show->callback([&] { exit_code = command::fault_show(arguments.config, arguments.json); });
  CLI::App* clear = fault->add_subcommand(
      "clear", "the disk can be trusted again: holds from the gateway's next start");
  add_common(*clear, arguments);
  add_reason(*clear, arguments);
  clear->callback([&] {
    exit_code = command::fault_clear(arguments.config, arguments.queue.reason, arguments.json);
  });
}

void add_report(CLI::App& app, Arguments& arguments, std::optional<int>& exit_code) {
  CLI::App* report = app.add_subcommand("report", "what a person should look at");
  report->require_subcommand(1);
  CLI::App* series = report->add_subcommand(
      "series",
      "series that are not what their first instance was, or too large; exit code 3: none");
  add_common(*series, arguments);
  series
      ->add_option("--since", arguments.report_since,
                   "recorded in so long until now, such as 24h or 7d")
      ->capture_default_str()
      ->check([](const std::string& text) {
        return config::parse_duration(text)
                   ? std::string()
                   : "is no duration; units: " + std::string(config::kDurationUnits);
      });
  series->callback([&] {
    exit_code = command::report_series(
        arguments.config,
        config::parse_duration(arguments.report_since).value_or(config::kLongestDuration),
        arguments.json);
  });
}

// CLI11 only says that one is missing. True after a message.
bool has_unknown_command(const CLI::App& app, std::span<char*> words) {
  const CLI::App* at = &app;
  std::string called = app.get_name();
  for (const std::string_view word : words) {
    const auto known = at->get_subcommands([](const CLI::App*) { return true; });
    if (known.empty() || word.starts_with('-')) return false;
    const auto found = std::ranges::find(known, word, &CLI::App::get_name);
    if (found == known.end()) {
      std::cerr << "sluice: there is no command '" << word << "'; `" << called
                << " --help` has all\n";
      return true;
    }
    at = *found;
    called += " " + at->get_name();
  }
  return false;
}

int run(int argc, char** argv) {
  CLI::App app("Sluice: a DICOM gateway between modality and PACS", "sluice");
  app.set_version_flag("--version", "sluice " SLUICE_VERSION);
  app.require_subcommand(1);
  Arguments arguments;
  std::optional<int> exit_code;

  CLI::App* serve =
      app.add_subcommand("serve", "receives, repairs, keeps and delivers until SIGTERM");
  add_common(*serve, arguments, false);
  serve->callback([&] { exit_code = command::serve(arguments.config); });

  CLI::App* reload = app.add_subcommand(
      "reload", "the running gateway goes by its changed configuration, or says why not");
  add_common(*reload, arguments);
  reload->callback([&] { exit_code = command::reload(arguments.config, arguments.json); });

  add_check(app, arguments, exit_code);
  add_explain(app, arguments, exit_code);
  add_test(app, arguments, exit_code);
  add_replay(app, arguments, exit_code);
  add_queue(app, arguments, exit_code);
  add_fault(app, arguments, exit_code);
  add_report(app, arguments, exit_code);

  CLI::App* ledger = app.add_subcommand("ledger", "what was decided once and is kept");
  ledger->require_subcommand(1);
  CLI::App* lookup = ledger->add_subcommand("lookup", "what replaced a UID, or what it replaced");
  add_common(*lookup, arguments);
  lookup->add_option("uid", arguments.uid, "either of the two")->required();
  lookup->callback(
      [&] { exit_code = command::ledger_lookup(arguments.config, arguments.uid, arguments.json); });

  if (has_unknown_command(app, std::span(argv, static_cast<std::size_t>(argc)).subspan(1))) {
    return command::kUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int said = app.exit(error);
    return said == 0 ? command::kOk : command::kUsage;
  }
  return exit_code.value_or(command::kUsage);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "sluice: " << error.what() << '\n';
    return command::kFailed;
  }
}
