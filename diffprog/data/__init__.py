"""Real pictures with names and groups, to learn from: fetched with a pinned hash, rendered once, kept in the cache."""

from diffprog.data.drawings import Drawings as Drawings
from diffprog.data.drawings import openmoji as openmoji
from diffprog.data.drawings import split as split
from diffprog.data.svg import render as render
