"""The tables of a `.tflite` file that tinyse reads: which field number holds what.

From `tensorflow/compiler/mlir/lite/schema/schema.fbs` (version 3).  A field's kind is

    "I", "f", ..      a scalar, as a `struct` format character
    "text"            a string
    "*b", "*i", ..    a vector of scalars
    "@Name"           a table
    "*@Name"          a vector of tables
    "union"           the table whose type number stands in the field before it
    None              known, and refused when present: nothing we run may depend on it
"""

from __future__ import annotations

Kind = str | None
Fields = dict[int, tuple[str, Kind]]

TABLES: dict[str, Fields] = {
    "Model": {
        0: ("version", "I"),
        1: ("operator_codes", "*@OperatorCode"),
        2: ("subgraphs", "*@SubGraph"),
        3: ("description", "text"),
        4: ("buffers", "*@Buffer"),
        5: ("metadata_buffer", "*i"),
        6: ("metadata", "*@Metadata"),
        7: ("signatures", "*@SignatureDef"),
    },
    "OperatorCode": {
        0: ("deprecated_code", "b"),
        1: ("custom_code", "text"),
        2: ("version", "i"),
        3: ("code", "i"),
    },
    "SubGraph": {
        0: ("tensors", "*@Tensor"),
        1: ("inputs", "*i"),
        2: ("outputs", "*i"),
        3: ("operators", "*@Operator"),
        4: ("name", "text"),
        5: ("debug_metadata", "i"),
    },
    "Tensor": {
        0: ("shape", "*i"),
        1: ("type", "b"),
        2: ("buffer", "I"),
        3: ("name", "text"),
        4: ("quantization", "@QuantizationParameters"),
        5: ("is_variable", "?"),
        6: ("sparsity", None),
        7: ("shape_signature", "*i"),
        8: ("has_rank", "?"),
        9: ("variant_tensors", None),
        10: ("external_buffer", "I"),
    },
    "QuantizationParameters": {
        0: ("min", "*f"),
        1: ("max", "*f"),
        2: ("scale", "*f"),
        3: ("zero_point", "*q"),
        4: ("details_type", "B"),
        5: ("details", None),
        6: ("dimension", "i"),
    },
    "Operator": {
        0: ("opcode", "I"),
        1: ("inputs", "*i"),
        2: ("outputs", "*i"),
        3: ("options_type", "B"),
        4: ("options", "union"),
        5: ("custom_options", "*B"),
        6: ("custom_format", "b"),
        7: ("mutating", "*?"),
        8: ("intermediates", "*i"),
        9: ("large_offset", "Q"),
        10: ("large_size", "Q"),
        11: ("options2_type", "B"),
        12: ("options2", None),
        13: ("debug_metadata", "i"),
    },
    "Buffer": {0: ("data", "*B"), 1: ("offset", "Q"), 2: ("size", "Q")},
    "Metadata": {0: ("name", "text"), 1: ("buffer", "I")},
    "SignatureDef": {
        0: ("inputs", "*@TensorMap"),
        1: ("outputs", "*@TensorMap"),
        2: ("key", "text"),
        4: ("subgraph", "I"),
    },
    "TensorMap": {0: ("name", "text"), 1: ("tensor", "I")},
    "UnidirectionalSequenceLSTMOptions": {
        0: ("activation", "b"),
        1: ("cell_clip", "f"),
        2: ("projection_clip", "f"),
        3: ("time_major", "?"),
        4: ("asymmetric_inputs", "?"),
        5: ("diagonal_recurrent", "?"),
    },
    "FullyConnectedOptions": {
        0: ("activation", "b"),
        1: ("weights_format", "b"),
        2: ("keep_dimensions", "?"),
        3: ("asymmetric_inputs", "?"),
        4: ("bias_type", "b"),
    },
    "Conv2DOptions": {
        0: ("padding", "b"),
        1: ("stride_w", "i"),
        2: ("stride_h", "i"),
        3: ("activation", "b"),
        4: ("dilation_w", "i"),
        5: ("dilation_h", "i"),
        6: ("bias_type", "b"),
    },
    "DepthwiseConv2DOptions": {
        0: ("padding", "b"),
        1: ("stride_w", "i"),
        2: ("stride_h", "i"),
        3: ("depth_multiplier", "i"),
        4: ("activation", "b"),
        5: ("dilation_w", "i"),
        6: ("dilation_h", "i"),
    },
    "Pool2DOptions": {
        0: ("padding", "b"),
        1: ("stride_w", "i"),
        2: ("stride_h", "i"),
        3: ("filter_width", "i"),
        4: ("filter_height", "i"),
        5: ("activation", "b"),
    },
    "ConcatenationOptions": {0: ("axis", "i"), 1: ("activation", "b")},
    "AddOptions": {0: ("activation", "b"), 1: ("pot_scale_int16", "?")},
    "MulOptions": {0: ("activation", "b")},
    "SubOptions": {0: ("activation", "b"), 1: ("pot_scale_int16", "?")},
    "StridedSliceOptions": {
        0: ("begin_mask", "i"),
        1: ("end_mask", "i"),
        2: ("ellipsis_mask", "i"),
        3: ("new_axis_mask", "i"),
        4: ("shrink_axis_mask", "i"),
        5: ("offset", "?"),
    },
    "SplitOptions": {0: ("num_splits", "i")},
    "UnpackOptions": {0: ("num", "i"), 1: ("axis", "i")},
}

# Type number of a union -> its table; the options of other operators are not looked into.
OPTIONS = {
    1: "Conv2DOptions", 2: "DepthwiseConv2DOptions", 5: "Pool2DOptions",
    8: "FullyConnectedOptions", 10: "ConcatenationOptions", 11: "AddOptions", 21: "MulOptions",
    28: "SubOptions", 32: "StridedSliceOptions", 35: "SplitOptions", 64: "UnpackOptions",
    71: "UnidirectionalSequenceLSTMOptions",
}  # fmt: skip

TYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool",
    7: "int16", 8: "complex64", 9: "int8", 10: "float64", 12: "uint64", 13: "resource",
    15: "uint32", 16: "uint16", 17: "int4",
}  # fmt: skip

ADD = 0
FULLY_CONNECTED = 9
LOGISTIC = 14
MUL = 18
TANH = 28
CUSTOM = 32
SUB = 41
LSTM = 44
MAXIMUM = 55
MINIMUM = 57

# Operators by number: those we run, and those that converters put in their place.
OPERATORS = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE", 9: "FULLY_CONNECTED", 14: "LOGISTIC", 16: "LSTM", 17: "MAX_POOL_2D",
    18: "MUL", 19: "RELU", 21: "RELU6", 22: "RESHAPE", 24: "RNN", 25: "SOFTMAX", 27: "SVDF",
    28: "TANH", 31: "CALL", 32: "CUSTOM", 34: "PAD", 35: "UNIDIRECTIONAL_SEQUENCE_RNN",
    36: "GATHER", 39: "TRANSPOSE", 40: "MEAN", 41: "SUB", 42: "DIV", 43: "SQUEEZE",
    44: "UNIDIRECTIONAL_SEQUENCE_LSTM", 45: "STRIDED_SLICE", 47: "EXP", 49: "SPLIT",
    51: "DELEGATE", 52: "BIDIRECTIONAL_SEQUENCE_LSTM", 53: "CAST", 55: "MAXIMUM", 57: "MINIMUM",
    58: "LESS", 65: "SLICE", 70: "EXPAND_DIMS", 77: "SHAPE", 83: "PACK", 86: "LOGICAL_AND",
    88: "UNPACK", 94: "FILL", 102: "SPLIT_V", 114: "QUANTIZE", 118: "IF", 119: "WHILE",
    126: "BATCH_MATMUL", 129: "CALL_ONCE", 142: "VAR_HANDLE", 143: "READ_VARIABLE",
    144: "ASSIGN_VARIABLE",
}  # fmt: skip
