#include "libs/h2/fields.h"

namespace penstock::h2 {

void Fields::Add(std::string_view name, std::string_view value) {
  entries_.push_back({static_cast<std::uint32_t>(text_.size()),
                      static_cast<std::uint32_t>(name.size()),
                      static_cast<std::uint32_t>(value.size())});
  text_.append(name).append(value);
}

const Fields::Entry* Fields::Find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (std::string_view(text_).substr(entry.offset, entry.name_size) == name) return &entry;
  }
  return nullptr;
}

std::string_view Fields::Get(std::string_view name) const {
  const Entry* entry = Find(name);
  if (entry == nullptr) return {};
  return std::string_view(text_).substr(entry->offset + entry->name_size, entry->value_size);
}

bool Fields::Has(std::string_view name) const { return Find(name) != nullptr; }

Fields::Field Fields::operator[](std::size_t index) const {
  const Entry& entry = entries_[index];
  const std::string_view text = text_;
  return {text.substr(entry.offset, entry.name_size),
          text.substr(entry.offset + entry.name_size, entry.value_size)};
}

void Fields::Clear() {
  text_.clear();
  entries_.clear();
}

void Fields::Reserve(std::size_t fields, std::size_t text_bytes) {
  entries_.reserve(fields);
  text_.reserve(text_bytes);
}

}  // namespace penstock::h2
