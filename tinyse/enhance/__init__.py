"""Sound through a network: whole files, folders, and streams of 256 samples.

sound [n] -- stft --> features [T, 128] -- quantise --> int8 -- runtime --> int8
          -- dequantise --> mask [T, 128] -- bin_gains, istft --> sound [n]

models    what a user calls a model -> its files, opened on a runtime
enhancer  sound in, sound out: whole and streaming
streams   block by block on any runtime, through the C front end where the runtime is `native`
pcm       raw samples through a pipe
files     audio files and folders in, audio files out
"""

from tinyse.enhance.enhancer import Enhancer, StreamEnhancer
from tinyse.enhance.models import (
    FLOAT_RUNTIME,
    ModelFiles,
    Source,
    find_model,
    open_enhancer,
    open_source,
    read_normalisation,
)
from tinyse.enhance.streams import LATENCY_MS, BlockStream, Passthrough, open_stream, stream_of

__all__ = [
    "FLOAT_RUNTIME",
    "LATENCY_MS",
    "BlockStream",
    "Enhancer",
    "ModelFiles",
    "Passthrough",
    "Source",
    "StreamEnhancer",
    "find_model",
    "open_enhancer",
    "open_source",
    "open_stream",
    "read_normalisation",
    "stream_of",
]
