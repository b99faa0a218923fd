# maskzoo on CPUs: docker build -t maskzoo:cpu . && docker run --rm -p 8000:8000 -v ./models:/models:ro maskzoo:cpu
# Neither a compiler nor a package manager's cache is in the image; docs/deploy.md says how to run it with fewer rights still.
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels --constraint constraints.txt .

FROM python:3.11-slim-bookworm
ENV PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MASKZOO_HOME=/cache
COPY constraints.txt /tmp/constraints.txt
COPY --from=build /wheels /wheels
RUN pip install --constraint /tmp/constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu torch \
    && pip install --constraint /tmp/constraints.txt "$(ls /wheels/*.whl)[serve]" \
    && rm -r /wheels /tmp/constraints.txt \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin maskzoo \
    && install -d -o maskzoo /cache
USER 10001
VOLUME /cache
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=2)"]
ENTRYPOINT ["maskzoo"]
CMD ["serve", "/models/model.safetensors", "--host", "0.0.0.0", "--token-file", "/run/secrets/tokens"]
