"""Care for the machine: settings of the process that make compiled programs faster, and how a batch is spread."""

from diffprog.machine.one_by_one import one_by_one as one_by_one
from diffprog.machine.tuning import Setting as Setting
from diffprog.machine.tuning import tune as tune
