# The page on CPUs, for a server of your own: see "In a container" in README.md.
FROM python:3.12-slim

WORKDIR /app
COPY requirements.txt ./
# Of PyTorch two builds exist: name an index of those for CPUs as PIP_EXTRA_INDEX_URL, and the image is gigabytes smaller.
ARG PIP_EXTRA_INDEX_URL
RUN pip install --no-cache-dir --requirement requirements.txt \
    && useradd --uid 1000 --no-create-home --shell /usr/sbin/nologin page

COPY app.py README.md LICENSE ./
COPY hpinet hpinet
COPY checkpoints checkpoints
COPY examples examples
RUN python -m compileall -q app.py hpinet

# All that is written goes to /tmp: uploads, results, fetched weights, compiled models.
ENV HOME=/tmp \
    HPINET_CACHE=/tmp/hpinet \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860
USER 1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=3 CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/config', timeout=8)"]
# As Ctrl+C: whoever waits for a result is told, and temporary files go.
STOPSIGNAL SIGINT
CMD ["python", "app.py"]
