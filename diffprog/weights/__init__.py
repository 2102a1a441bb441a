"""Weights: read files that come from anywhere, safely, and keep them in a cache.

`read` opens safetensors, pickles of numpy arrays and torch checkpoints without torch, and never runs what
is in them; `read_metadata` gives the texts in a safetensors header. `save` writes safetensors, whole or not
at all. `PackageFile`, `UrlFile` and `LocalFile` say where a file comes from and which hash it must have;
`fetch` gets it, `load_cached` gets it once and converts it.
Which networks exist and what their tensors mean belongs to `diffprog.models`.
"""

from diffprog.weights.cache import cache_folder, fetch_cached, load_cached, print_to_stderr
from diffprog.weights.formats import read, read_metadata
from diffprog.weights.safetensors_files import save
from diffprog.weights.sources import LocalFile, PackageFile, Source, UrlFile, fetch

__all__ = [
    "LocalFile",
    "PackageFile",
    "Source",
    "UrlFile",
    "cache_folder",
    "fetch",
    "fetch_cached",
    "load_cached",
    "print_to_stderr",
    "read",
    "read_metadata",
    "save",
]
