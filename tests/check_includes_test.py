#!/usr/bin/env python3
"""The check of includes finds what it is there for."""

import pathlib
import tempfile
import unittest

import check_includes


class CheckIncludes(unittest.TestCase):
    def breaches(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            return check_includes.check_tree(root)[0]

    def include(self, source, target):
        return self.breaches({source: f'\n#include "{target}"\n'})

    def test_allows_includes_downwards(self):
        for source, target in (
            ("gateway/config/a.cpp", "gateway/base/error.h"),
            ("gateway/net/a.cpp", "gateway/dicom/uid.h"),
            ("gateway/pipeline/a.h", "gateway/ledger/ledger.h"),
            ("gateway/receive/a.cpp", "gateway/queue/queue.h"),
            ("gateway/receive/a.h", "gateway/deliver/dispatcher.h"),
            ("gateway/net/a.cpp", "gateway/net/b.h"),
            ("gateway/main.cpp", "gateway/deliver/dispatcher.h"),
            ("gateway/main.cpp", "filters/filters.h"),
            ("gateway/main.cpp", "gateway/app.h"),
            ("filters/sanitize_uids/a.cpp", "gateway/pipeline/filter.h"),
            ("filters/sanitize_uids/a.cpp", "filters/sanitize_uids/a.h"),
            ("tests/net/a_test.cpp", "gateway/queue/queue.h"),
            ("tests/net/a_test.cpp", "tests/support/fixtures.h"),
        ):
            self.assertEqual(self.include(source, target), [], f"{source} -> {target}")

    def test_tells_includes_upwards_and_sidewards(self):
        for source, target in (
            ("gateway/base/a.h", "gateway/config/config.h"),
            ("gateway/config/a.h", "gateway/dicom/uid.h"),
            ("gateway/dicom/a.h", "gateway/config/config.h"),
            ("gateway/spool/a.h", "gateway/queue/queue.h"),
            ("gateway/queue/a.h", "gateway/ledger/ledger.h"),
            ("gateway/pipeline/a.h", "gateway/queue/queue.h"),
            ("gateway/deliver/a.h", "gateway/receive/server.h"),
            ("gateway/receive/a.h", "gateway/app.h"),
            ("gateway/pipeline/a.h", "filters/filters.h"),
            ("gateway/main.cpp", "tests/support/fixtures.h"),
            ("gateway/net/a.cpp", "tests/support/fixtures.h"),
            ("filters/merge_studies/a.cpp", "gateway/queue/queue.h"),
            ("filters/merge_studies/a.cpp", "gateway/net/requestor.h"),
        ):
            found = self.include(source, target)
            self.assertEqual(len(found), 1, f"{source} -> {target}: {found}")
            self.assertTrue(found[0].startswith(f"{source}:2: "), found)

    def test_tells_includes_that_are_not_from_the_root(self):
        self.assertEqual(len(self.include("gateway/net/a.cpp", "requestor.h")), 1)
        self.assertEqual(len(self.include("gateway/net/a.cpp", "../base/error.h")), 1)

    def test_tells_a_folder_that_it_does_not_know(self):
        self.assertEqual(len(self.breaches({"gateway/new/a.h": "\n"})), 1)

    def test_tells_files_that_are_too_long(self):
        self.assertEqual(self.breaches({"gateway/net/a.h": "\n" * 499}), [])
        self.assertEqual(len(self.breaches({"gateway/net/a.h": "\n" * 500})), 1)


if __name__ == "__main__":
    unittest.main()
