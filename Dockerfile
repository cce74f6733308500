# Two images: `--target server` (scheduler, dispatcher, migration) and `--target worker` (a base for Python workers).
# What both are made of; the same Python in each. `make image-bases` writes the digests, which a release has to have:
# `make verify-release`.
ARG BUILD=python:3.13-slim-trixie
ARG RUNTIME=gcr.io/distroless/python3-debian13:nonroot

# What goes in is decided by one script, which tests run without Docker too.
FROM ${BUILD} AS assembly
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY deploy/images deploy/images

FROM assembly AS server-files
COPY taskyard_core taskyard_core
COPY scheduler scheduler
COPY dispatcher dispatcher
COPY taskyard_server taskyard_server
RUN ["python", "deploy/images/assemble.py", "server", "/opt/taskyard"]

FROM assembly AS worker-files
COPY sdk/python sdk/python
RUN ["python", "deploy/images/assemble.py", "worker", "/opt/taskyard"]

# No shell, no package manager, nobody's root; nothing is written outside /tmp.
FROM ${RUNTIME} AS base
ENV PYTHONPATH=/opt/taskyard/packages PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /app
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/usr/bin/python3.13", "/opt/taskyard/healthcheck.py"]

FROM base AS server
LABEL org.opencontainers.image.title="taskyard-server" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=server-files /opt/taskyard /opt/taskyard
EXPOSE 7070 7071 8080 8081
ENTRYPOINT ["/usr/bin/python3.13", "-m", "taskyard_server"]
CMD ["--help"]

FROM base AS worker
LABEL org.opencontainers.image.title="taskyard-worker" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=worker-files /opt/taskyard /opt/taskyard
ENV TASKYARD_WORKER_HTTP_ADDRESS=0.0.0.0:8082
EXPOSE 8082
ENTRYPOINT ["/usr/bin/python3.13", "-m", "taskyard.cli"]
CMD ["worker", "run", "taskyard.demo:worker"]

# What the profiles of skaffold.yaml run, none of it for production. With a debugger, that IDEs reach on port 5678:
FROM assembly AS debugger-files
RUN ["python", "deploy/images/assemble.py", "debugger", "/opt/debugger"]

FROM server AS server-debug
COPY --from=debugger-files /opt/debugger /opt/debugger
ENV PYTHONPATH=/opt/taskyard/packages:/opt/debugger/packages
EXPOSE 5678
ENTRYPOINT ["/usr/bin/python3.13", "-Xfrozen_modules=off", "-m", "debugpy", "--listen", "0.0.0.0:5678", "-m", "taskyard_server"]
CMD ["--help"]

FROM worker AS worker-debug
COPY --from=debugger-files /opt/debugger /opt/debugger
ENV PYTHONPATH=/opt/taskyard/packages:/opt/debugger/packages
EXPOSE 5678
ENTRYPOINT ["/usr/bin/python3.13", "-Xfrozen_modules=off", "-m", "debugpy", "--listen", "0.0.0.0:5678", "-m", "taskyard.cli"]
CMD ["worker", "run", "taskyard.demo:worker"]

# From sources that are put into running pods, which takes tar.
FROM ${BUILD} AS live
ENV PYTHONPATH=/tmp/live:/opt/taskyard/packages PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /app
COPY --from=assembly /src/deploy/images/live.py /opt/live.py

FROM live AS server-live
COPY --from=server-files /opt/taskyard /opt/taskyard
ENTRYPOINT ["python", "/opt/live.py", "taskyard_core,taskyard_scheduler,taskyard_dispatcher,taskyard_server", "taskyard_server"]
CMD ["--help"]

FROM live AS worker-live
COPY --from=worker-files /opt/taskyard /opt/taskyard
ENV TASKYARD_WORKER_HTTP_ADDRESS=0.0.0.0:8082
ENTRYPOINT ["python", "/opt/live.py", "taskyard", "taskyard.cli"]
CMD ["worker", "run", "taskyard.demo:worker"]

# Experiments and their workers, with a shell to fetch reports by.
FROM assembly AS chaos-files
COPY sdk/python sdk/python
COPY chaos chaos
RUN ["python", "deploy/images/assemble.py", "chaos", "/opt/taskyard"]

FROM ${BUILD} AS chaos
ENV PYTHONPATH=/opt/taskyard/packages PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp
USER 65532:65532
WORKDIR /app
COPY --from=chaos-files /opt/taskyard /opt/taskyard
ENTRYPOINT ["python", "-m"]
CMD ["chaos", "--help"]
