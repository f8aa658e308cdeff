"""Writes the fixtures python.gguf and python-split-*.gguf with the `gguf`
package of llama.cpp (pip install gguf), as an independent writer.

With --check FILE it reads a file written by this repository with that same
package and prints one line per key and tensor.
"""
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, GGUFValueType, quants

here = Path(__file__).parent


def rows(n, width):
    return (np.arange(n * width, dtype=np.float32).reshape(n, width) - 100) / 16


def single():
    w = GGUFWriter(here / "python.gguf", "llama")
    w.add_uint8("t.uint8", 200)
    w.add_int8("t.int8", -100)
    w.add_uint16("t.uint16", 60000)
    w.add_int16("t.int16", -30000)
    w.add_uint32("t.uint32", 4000000000)
    w.add_int32("t.int32", -2000000000)
    w.add_uint64("t.uint64", 1 << 63)
    w.add_int64("t.int64", -(1 << 62))
    w.add_float32("t.float32", 1.5)
    w.add_float64("t.float64", -2.25)
    w.add_bool("t.bool", True)
    w.add_string("t.string", "höhe\nline")
    w.add_array("t.ints", [1, -2, 3])
    w.add_array("t.floats", [0.5, -0.25])
    w.add_array("t.strings", ["a", "", "ab\u00e9"])
    w.add_array("t.bools", [True, False, True])
    w.add_tensor("norm", rows(1, 5)[0])
    w.add_tensor("wide", rows(3, 4))
    w.add_tensor("half", rows(2, 3).astype(np.float16))
    packed = quants.quantize(rows(2, 64), GGMLQuantizationType.Q4_0)
    w.add_tensor("packed", packed, raw_dtype=GGMLQuantizationType.Q4_0)
    w.add_tensor("experts", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def split():
    w = GGUFWriter(here / "python-split.gguf", "llama", split_max_tensors=2)
    w.add_string("general.name", "split")
    for i in range(5):
        w.add_tensor(f"t{i}", rows(2, 4) + i)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def check(path):
    r = GGUFReader(path)
    for f in r.fields.values():
        print(f.name, [t.name for t in f.types], f.contents())
    for t in r.tensors:
        print(t.name, t.tensor_type.name, list(map(int, t.shape)), int(t.data_offset), t.data.reshape(-1)[:4])


if len(sys.argv) == 3 and sys.argv[1] == "--check":
    check(sys.argv[2])
else:
    single()
    split()
