"""The whole story offline, in minutes on two CPU cores: make a data set, check it, train, measure, predict, look at the report.

python examples/demo.py      `maskzoo demo` is the same with progress and options
"""

import maskzoo

print(maskzoo.demo(on_progress=lambda event: event.note and print(event.note, flush=True)))
