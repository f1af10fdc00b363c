#include "libs/lifecycle/readiness.h"

#include <utility>

#include "boost/json.hpp"
#include "libs/base/status.h"

namespace penstock::lifecycle {

std::string Readiness::Report::ToJson() const {
  boost::json::array list;
  for (const Result& result : checks) {
    boost::json::object check{{"name", result.name}, {"ready", result.status.ok()}};
    if (!result.status.ok()) {
      check["code"] = boost::json::string_view(CodeName(result.status.code()).data(),
                                               CodeName(result.status.code()).size());
      check["reason"] = std::string(result.status.message());
    }
    list.push_back(std::move(check));
  }
  boost::json::object report{{"ready", ready}, {"draining", draining}, {"checks", std::move(list)}};
  if (!notes.empty()) {
    boost::json::array& all = report["notes"].emplace_array();
    for (const auto& [name, note] : notes) {
      all.push_back(boost::json::object{{"name", name}, {"note", note}});
    }
  }
  return boost::json::serialize(report);
}

void Readiness::RegisterNote(std::string name, Note note) {
  const std::lock_guard lock(mutex_);
  notes_.insert_or_assign(std::move(name), std::move(note));
}

void Readiness::Register(std::string name, Check check) {
  const std::lock_guard lock(mutex_);
  checks_.insert_or_assign(std::move(name), std::move(check));
}

void Readiness::Unregister(std::string_view name) {
  // Evaluate holds the lock while it runs the checks.
  const std::lock_guard lock(mutex_);
  if (const auto found = checks_.find(name); found != checks_.end()) checks_.erase(found);
  if (const auto found = notes_.find(name); found != notes_.end()) notes_.erase(found);
}

void Readiness::SetDraining() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
}

bool Readiness::draining() const {
  const std::lock_guard lock(mutex_);
  return draining_;
}

Readiness::Report Readiness::Evaluate() const {
  const std::lock_guard lock(mutex_);
  Report report;
  report.draining = draining_;
  report.ready = !draining_;
  for (const auto& [name, check] : checks_) {
    report.checks.push_back({name, check()});
    if (!report.checks.back().status.ok()) report.ready = false;
  }
  for (const auto& [name, note] : notes_) {
    if (std::string text = note(); !text.empty()) report.notes.emplace_back(name, std::move(text));
  }
  return report;
}

}  // namespace penstock::lifecycle
