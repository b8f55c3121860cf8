#!/usr/bin/env python3
"""Makes the small data set files of tests/dataset and the text that stands in them.

    /path/to/python make_files.py     # needs pyarrow 24

One column of sentences, with what files of the hub have beside it: nulls, repetitions, other columns, several row
groups and pages, every codec, both versions of pages. rows.json has the rows; where a file cannot have nulls, they are
left out.
"""
import gzip
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
LIGHTHOUSE = (HERE.parents[1] / "e2e/lighthouse.txt").read_text()

SENTENCES = [line for line in LIGHTHOUSE.split("\n") if line]
ROWS = ["", *SENTENCES, "größe 你好 😀", "", None, *SENTENCES[:3], None, "a\nb"]


def table(rows, nullable=True):
    """The column `sentence`, between others, and once more deeper down under the same name."""
    count = len(rows)
    nested = pa.array([{"sentence": "not this one", "n": i} for i in range(count)])
    fields = [("id", pa.array(range(count))), ("nested", nested), ("sentence", pa.array(rows, pa.string())),
              ("tags", pa.array([["x", "y"]] * count))]
    return pa.table([values for _, values in fields],
                    schema=pa.schema([pa.field(name, values.type, nullable=nullable or name != "sentence")
                                      for name, values in fields]))


def lines(rows):
    objects = [{"meta": {"text": "not this one"}, "text": row, "url": "https://x"} for row in rows]
    return "".join(json.dumps(line, ensure_ascii=i % 2 == 0) + "\n" for i, line in enumerate(objects)).encode()


def main():
    rows = ROWS * 3
    texts = [row for row in rows if row is not None]
    parquet = {
        "snappy.parquet": (table(rows), {}),
        "gzip_row_groups.parquet": (table(rows), {"compression": "gzip", "row_group_size": 30}),
        "zstd_v2.parquet": (table(rows), {"compression": "zstd", "data_page_version": "2.0"}),
        "plain_v2.parquet": (table(rows), {"use_dictionary": False, "data_page_version": "2.0"}),
        # A dictionary that is full after a page: plain pages follow.
        "none_required.parquet": (table(texts, nullable=False), {
            "compression": "none", "dictionary_pagesize_limit": 500, "data_page_size": 400, "write_batch_size": 4}),
    }
    for name, (content, options) in parquet.items():
        pq.write_table(content, HERE / name, **options)
    half = len(texts) // 2
    parts = [lines(texts[:half]), lines(texts[half:])]
    (HERE / "lines.json.gz").write_bytes(b"".join(gzip.compress(part, mtime=0) for part in parts))
    packed = [pa.compress(part, codec="zstd", asbytes=True) for part in parts]
    skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    (HERE / "lines.jsonl.zst").write_bytes(packed[0] + skipped + packed[1])
    (HERE / "rows.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    # As the hub's ptb and wikitext2 have it.
    pq.write_table(pa.table({"sentence": SENTENCES}), HERE / "ptb.parquet")
    pq.write_table(pa.table({"text": ["", *(line + "\n" for line in SENTENCES)]}), HERE / "wikitext.parquet")


if __name__ == "__main__":
    main()
