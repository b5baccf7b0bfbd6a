"""Packed forms of a checked `.tflite`.

format, tiles      the records of the native blob, and how weights lie in its tiles
native             network -> blob, with an account of every byte
coded              blob -> entropy-coded blob
frontend           the tables of the C audio front end
activations        the C tables of sigmoid and tanh
files              what `tinyse export --pack native` writes
c_source           blob -> model.h, model.c
reader             blob -> weights, independent of the writer
"""
