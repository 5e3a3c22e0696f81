#include "filters/lookup/csv.h"

#include <gmock/gmock.h>

namespace sluice {
namespace {

using testing::ElementsAre;

using Fields = std::vector<std::string>;

std::vector<Fields> records_of(std::string_view text, char delimiter = ',') {
  Csv csv(text, delimiter);
  std::vector<Fields> records;
  for (auto record = csv.next(); record && *record; record = csv.next()) {
    records.push_back(csv.fields());
  }
  return records;
}

TEST(CsvText, HasRecordsOfFieldsWhateverEndsTheLines) {
  for (const char* text : {"a,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\n1,2", "\r\na,b\n\n1,2\r\n\r\n"}) {
    EXPECT_THAT(records_of(text), ElementsAre(Fields{"a", "b"}, Fields{"1", "2"})) << text;
  }
  EXPECT_THAT(records_of("a;b,c\n", ';'), ElementsAre(Fields{"a", "b,c"}));
  EXPECT_THAT(records_of(""), ElementsAre());
  EXPECT_THAT(records_of("a,\n,b\n,"),
              ElementsAre(Fields{"a", ""}, Fields{"", "b"}, Fields{"", ""}));
}

TEST(CsvText, HasDelimitersQuotesAndLineBreaksInQuotes) {
  EXPECT_THAT(records_of("\"a,b\",\"say \"\"so\"\"\"\r\n\"1\r\n2\",\"\"\n"),
              ElementsAre(Fields{"a,b", "say \"so\""}, Fields{"1\r\n2", ""}));
  EXPECT_THAT(records_of("\"\"\n"), ElementsAre(Fields{""})) << "not blank: it is quoted";
  EXPECT_THAT(records_of("a\rb,c\n"), ElementsAre(Fields{"a\rb", "c"}));
}

TEST(CsvText, CountsTheLinesInQuotesToo) {
  Csv csv("h\r\n\"1\n\n2\"\n\nx\n\"bad\" x\n", ',');
  for (const std::size_t line : {1U, 2U, 6U}) {
    ASSERT_TRUE(*csv.next());
    EXPECT_EQ(csv.line(), line);
  }
  EXPECT_FALSE(csv.next());
  EXPECT_EQ(csv.line(), 7U);
}

TEST(CsvText, WithAQuoteInTheWrongPlaceIsAMistake) {
  for (const char* text : {"a\"b\n", "\"a\"b\n", "\"a\n", "a,\"", "\"a\" ,b\n"}) {
    Csv csv(text, ',');
    const auto read = csv.next();
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::configuration);
  }
}

}  // namespace
}  // namespace sluice
