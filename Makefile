# Every target sets itself up: it needs python3 (3.11 or newer) and package access, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo browser test test-slow coverage lint docs docs-site dist extras lock audit versions mutants parity bench reliability clean

help:
	@echo "make demo       offline, in minutes: make a data set, check it, train, measure, predict, report"
	@echo "make test       everything that CI runs: lint, types, import contracts, tests"
	@echo "make browser    Chromium, by apt where that may install, and onnxruntime for it; without them the page's tests skip"
	@echo "make test-slow  the minutes-long tests"
	@echo "make coverage   the share of lines and branches that the tests reach; TESTS=tests/ops runs one folder of them"
	@echo "make docs       write docs/zoo.md and the README's table anew from the model files"
	@echo "make docs-site  build the documentation site into site/, English and Chinese"
	@echo "make dist       build wheel and sdist into dist/ and check them; the licences and versions of all that is installed too"
	@echo "make extras     install maskzoo with each extra alone, in new environments, and use it; EXTRAS=\"serve video\" for some"
	@echo "make lock       write requirements.lock: every version with its hashes"
	@echo "make audit      known faults of the locked versions, by pip-audit"
	@echo "make versions   tests with the oldest release of every dependency; RESOLUTION=highest: the newest; TOLD: which tests"
	@echo "make mutants    how many small faults in operators, weights, data and config the tests notice"
	@echo "make parity     measure against the golden sets and write docs/parity.md's tables anew"
	@echo "make bench      build the peers outside the checkout, measure maskzoo against them, and write docs/performance.md"
	@echo "make reliability  the long forms of attacks and faults, whose figures docs/reliability.md has"
	@echo "make clean      remove the virtual environment and caches"

# torch comes first and pinned: asked for without a version it brings gigabytes of CUDA libraries. Where the default index
# has those for the pinned version too: make test TORCH_INDEX=https://download.pytorch.org/whl/cpu
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: $(STAMP)
	rm -rf demo-out
	$(BIN)/maskzoo demo --out demo-out

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# What only the tests of the page need. Where it cannot be had they skip, and say why.
RUNTIME := $(VENV)/browser
browser: $(STAMP)
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null; } || \
		echo "Chromium is not installed, and apt cannot install it here: the tests of the page skip"
	@MASKZOO_HOME=$(RUNTIME) $(BIN)/python -c "from maskzoo.zoo.browser_runtime import fetch_package; fetch_package()" || \
		echo "onnxruntime-web was not fetched: the tests of the network in the browser skip"

# Two processes of one thread each: a file's tests stay together, so that what they share is made once.
test: lint browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --durations=10

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow --durations=10

reliability: $(STAMP)
	$(BIN)/python -m pytest tests/reliability -m "reliability or not reliability" --durations=20

# Of pytest's processes: what runs in others that a test starts is not counted.
TESTS ?= tests
coverage: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TESTS) -n 2 --dist loadfile --cov --cov-report=term:skip-covered

docs: $(STAMP)
	$(BIN)/python tools/write_docs.py

# The notice is about MkDocs 2, which this is not built with.
docs-site: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# sbom.json is CycloneDX: what a user gets with maskzoo and its extras, as it is installed here.
dist: $(STAMP)
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/python -m twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/python -m cyclonedx_py environment --output-file dist/sbom.json $(BIN)/python

extras: $(STAMP)
	$(BIN)/python tools/extras.py $(EXTRAS)

LOCKED := int8 serve hub video cvat tiff track wandb mlflow
# Not torch: which build fits is the machine's matter. Install it first, then: pip install --no-deps --require-hashes -r this.
# Where the default index has torch with CUDA, its packages would be locked too: make lock UV_INDEX=https://download.pytorch.org/whl/cpu
lock: $(STAMP)
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-package torch --no-emit-package maskzoo \
		--python $(BIN)/python --constraint constraints.txt $(addprefix --extra ,$(LOCKED)) --output-file requirements.lock pyproject.toml

# The newest faults that are known of what is locked; asks the package index for each version.
audit: $(STAMP)
	$(BIN)/uv tool run pip-audit --strict --requirement requirements.lock --no-deps --disable-pip

# The oldest releases that the metadata allows, or with RESOLUTION=highest the newest there are, outside the checkout's environment.
RESOLUTION ?= lowest-direct
VERSIONS := .venv-$(RESOLUTION)
TOLD := tests/reliability/test_imports.py tests/reliability/test_silence.py tests/ops tests/images tests/video tests/serving/test_app.py
versions: $(STAMP)
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(VERSIONS)
	$(BIN)/uv pip install --quiet --python $(VERSIONS)/bin/python --resolution $(RESOLUTION) --editable ".[$(shell echo $(LOCKED) | tr ' ' ,)]"
	$(BIN)/uv pip install --quiet --python $(VERSIONS)/bin/python pytest pytest-timeout hypothesis pycocotools schemathesis packaging
	$(VERSIONS)/bin/python -m pytest -o filterwarnings=default $(TOLD)

mutants: $(STAMP)
	$(PIP) install --quiet cosmic-ray
	OMP_NUM_THREADS=1 $(BIN)/python tools/mutants.py

parity: $(STAMP)
	rm -f benchmarks/results/parity.json
	MASKZOO_PARITY_REPORT=benchmarks/results/parity.json $(BIN)/python -m pytest tests/parity -m "slow or not slow"
	$(BIN)/python tools/write_docs.py

# Accuracy needs a trained model: make bench MODEL=my.safetensors VAL=instances_val.json (calibrated on CALIBRATE).
# gpu.py exits with 77 where there is no GPU.
COCO ?= $(or $(MASKZOO_SHARED),../shared)/data/coco
VAL ?= $(COCO)/annotations/instances_val2017.json
CALIBRATE ?= $(COCO)/train2017
bench: $(STAMP)
	benchmarks/peers.sh torchvision paddle
	$(BIN)/python benchmarks/predict.py
	$(if $(MODEL),$(BIN)/python benchmarks/accuracy.py $(MODEL) $(VAL) --calibrate $(CALIBRATE))
	$(BIN)/python benchmarks/throughput.py $(COCO)/val2017
	$(BIN)/python benchmarks/gpu.py || [ $$? -eq 77 ]
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/evaluate.py
	$(BIN)/python benchmarks/read_annotations.py
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python tools/write_docs.py

clean:
	rm -rf $(VENV) .venv-* dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage demo-out
