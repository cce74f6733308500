"""The dashboards: what an operator wants to see at a glance, of a queue, of workers, and of the machinery behind.

Several schedulers report the same depth of a queue, so depths are `max`; what processes count themselves is `sum`.
"""

from deploy.dashboards.grafana import Dashboard, Panel, Query, Row, Variable

_OF = '{namespace=~"$namespace", queue=~"$queue"}'
_OF_QUEUE = 'namespace=~"$namespace", queue=~"$queue"'
_KIND = (Variable("namespace", "taskyard_queue_depth"), Variable("queue", "taskyard_queue_depth"))


def _quantiles(metric: str, by: str = "", of: str = _OF) -> list[Query]:
    buckets = f"sum by ({f'{by}, le' if by else 'le'}) (rate({metric}_bucket{of}[$__rate_interval]))"
    legend = f"{{{{{by}}}}} " if by else ""
    return [
        Query(f"histogram_quantile({q}, {buckets})", legend + name)
        for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    ]


def _rate(metric: str, by: str, of: str = _OF) -> list[Query]:
    return [Query(f"sum by ({by}) (rate({metric}{of}[$__rate_interval]))", f"{{{{{by}}}}}")]


def _depths(state: str) -> str:
    return f'max by (namespace, queue) (taskyard_queue_depth{{{_OF_QUEUE}, state="{state}"}})'


def _depth(state: str) -> str:
    return f"sum({_depths(state)})"


_ERRORS = (
    f'sum(rate(taskyard_attempts_ended_total{{{_OF_QUEUE}, outcome=~"FAILED|TIMED_OUT|CRASHED"}}[$__rate_interval]))'
    f' / sum(rate(taskyard_attempts_ended_total{{{_OF_QUEUE}, outcome!~"RELEASED|CANCELLED"}}[$__rate_interval]))'
)

OVERVIEW = Dashboard(
    uid="taskyard-overview",
    title="Taskyard / Overview",
    about="Does it work, does it keep up, does anything fail?",
    variables=_KIND,
    rows=[
        Row(
            "Now",
            [
                Panel("Leaders", [Query("sum(taskyard_leader)")], number=True, about="One, but for some seconds."),
                Panel("Waiting", [Query(_depth("QUEUED"))], number=True, about="Tasks that could run now."),
                Panel("Running", [Query(_depth("RUNNING"))], number=True),
                Panel("Dead letters", [Query(_depth("FAILED"))], number=True, bad=1),
                Panel(
                    "Oldest waiting task",
                    [Query(f"max(taskyard_queue_oldest_age_seconds{_OF})")],
                    unit="s",
                    number=True,
                    bad=300,
                ),
                Panel(
                    "Stores that answer",
                    [Query("min by (store) (taskyard_store_up)", "{{store}}")],
                    number=True,
                    about="1 where every process reaches it.",
                ),
            ],
            width=4,
            height=5,
        ),
        Row(
            "Flow",
            [
                Panel(
                    "Tasks per second",
                    [
                        Query(f"sum(rate(taskyard_tasks_submitted_total{_OF}[$__rate_interval]))", "submitted"),
                        Query(f"sum(rate(taskyard_tasks_started_total{_OF}[$__rate_interval]))", "started"),
                        Query(f"sum(rate(taskyard_tasks_finished_total{_OF}[$__rate_interval]))", "finished"),
                    ],
                    unit="ops",
                ),
                Panel("Wait for a worker", _quantiles("taskyard_schedule_to_start_seconds"), unit="s"),
                Panel("Share of attempts that fail", [Query(_ERRORS, "failed")], unit="percentunit"),
            ],
        ),
        Row(
            "Queues",
            [
                Panel(
                    "Tasks by state",
                    [
                        Query(
                            f"sum by (state) (max by (namespace, queue, state) (taskyard_queue_depth{_OF}))",
                            "{{state}}",
                        )
                    ],
                    stacked=True,
                ),
                Panel(
                    "Waiting, the ten longest queues",
                    [Query(f"topk(10, {_depths('QUEUED')})", "{{namespace}}/{{queue}}")],
                ),
                Panel(
                    "Slots",
                    [Query("sum(taskyard_slots)", "all"), Query("sum(taskyard_slots_busy)", "busy")],
                    about="Of all namespaces.",
                ),
            ],
        ),
    ],
)

QUEUE = Dashboard(
    uid="taskyard-queue",
    title="Taskyard / Queue",
    about="What comes in, what waits and for whom, how long it takes, how it ends.",
    variables=_KIND,
    rows=[
        Row(
            "Waiting",
            [
                Panel(
                    "Backlog by selector",
                    [
                        Query(
                            f"sum by (selector) (max by (namespace, queue, selector) (taskyard_queue_backlog{_OF}))",
                            "{{selector}}",
                        )
                    ],
                    about="Tasks that could run now if there were workers, by the workers that they select.",
                    stacked=True,
                ),
                Panel(
                    "Oldest waiting task",
                    [
                        Query(
                            f"max by (namespace, queue) (taskyard_queue_oldest_age_seconds{_OF})",
                            "{{namespace}}/{{queue}}",
                        )
                    ],
                    unit="s",
                    bad=300,
                ),
                Panel("Wait for a worker", _quantiles("taskyard_schedule_to_start_seconds"), unit="s"),
            ],
        ),
        Row(
            "Running",
            [
                Panel("Started per second", _rate("taskyard_tasks_started_total", "type"), unit="ops"),
                Panel("Duration, 95th percentile", _quantiles("taskyard_task_run_seconds", "type")[1:2], unit="s"),
                Panel("Duration", _quantiles("taskyard_task_run_seconds"), unit="s"),
            ],
        ),
        Row(
            "Ends",
            [
                Panel("Tasks by outcome", _rate("taskyard_tasks_finished_total", "outcome"), unit="ops", stacked=True),
                Panel("Attempts by end", _rate("taskyard_attempts_ended_total", "outcome"), unit="ops", stacked=True),
                Panel("Share of attempts that fail", [Query(_ERRORS, "failed")], unit="percentunit"),
                Panel("Retries", _rate("taskyard_task_retries_total", "type"), unit="ops"),
                Panel("New dead letters", _rate("taskyard_dead_letters_total", "type"), unit="ops"),
                Panel(
                    "Dead letters kept",
                    [Query(_depths("FAILED"), "{{namespace}}/{{queue}}")],
                ),
            ],
        ),
        Row(
            "Submissions",
            [
                Panel("Submitted per second", _rate("taskyard_tasks_submitted_total", "type"), unit="ops"),
                Panel(
                    "Answered with an earlier task",
                    _rate("taskyard_tasks_deduplicated_total", "type"),
                    unit="ops",
                    about="Submissions whose idempotency key was known.",
                ),
                Panel(
                    "Given back without a verdict",
                    _rate("taskyard_tasks_requeued_total", "outcome"),
                    unit="ops",
                    about="CRASHED: the worker was lost. RELEASED: it handed the task back.",
                ),
            ],
        ),
    ],
)

WORKER = Dashboard(
    uid="taskyard-worker",
    title="Taskyard / Worker",
    about="Sessions and slots as dispatchers see them, and each worker as it sees itself.",
    variables=[Variable("instance", "taskyard_worker_slots")],
    rows=[
        Row(
            "All workers, as dispatchers see them",
            [
                Panel("Sessions", [Query("sum by (instance) (taskyard_sessions)", "{{instance}}")], stacked=True),
                Panel("Slots", [Query("sum(taskyard_slots)", "all"), Query("sum(taskyard_slots_busy)", "busy")]),
                Panel(
                    "Busy",
                    [Query("sum(taskyard_slots_busy) / sum(taskyard_slots)", "busy")],
                    unit="percentunit",
                ),
            ],
        ),
        Row(
            "Each worker",
            [
                Panel(
                    "Running attempts",
                    [Query('taskyard_worker_attempts_running{instance=~"$instance"}', "{{instance}}")],
                    stacked=True,
                ),
                Panel(
                    "Attempts by outcome",
                    [
                        Query(
                            "sum by (outcome) "
                            '(rate(taskyard_worker_attempts_total{instance=~"$instance"}[$__rate_interval]))',
                            "{{outcome}}",
                        )
                    ],
                    unit="ops",
                    stacked=True,
                ),
                Panel(
                    "Connected",
                    [Query('taskyard_worker_connected{instance=~"$instance"}', "{{instance}}")],
                    about="0 while no dispatcher holds its session.",
                ),
                Panel(
                    "Results not acknowledged",
                    [Query('taskyard_worker_results_unacknowledged{instance=~"$instance"}', "{{instance}}")],
                    about="They are kept and sent again until a dispatcher has stored them.",
                ),
                Panel(
                    "Connects",
                    [
                        Query(
                            'increase(taskyard_worker_connects_total{instance=~"$instance"}[$__rate_interval])',
                            "{{instance}}",
                        )
                    ],
                ),
                Panel(
                    "Event loop lag",
                    [Query('taskyard_worker_event_loop_lag_seconds{instance=~"$instance"}', "{{instance}}")],
                    unit="s",
                    bad=0.5,
                ),
                Panel(
                    "Results that came too late",
                    [
                        Query(
                            'increase(taskyard_worker_results_stale_total{instance=~"$instance"}[$__rate_interval])',
                            "{{instance}}",
                        )
                    ],
                ),
            ],
        ),
    ],
)

LEADER_AND_STORES = Dashboard(
    uid="taskyard-leader-and-stores",
    title="Taskyard / Leader and stores",
    about="Who leads, what waits to be published, how the stores and the processes do.",
    rows=[
        Row(
            "Leader",
            [
                Panel("Who leads", [Query("taskyard_leader", "{{instance}}")], about="1 on the leader."),
                Panel("Term", [Query("max(taskyard_leader_term)", "term")], about="Rises with each election."),
                Panel("Batches to publish", [Query("sum(taskyard_outbox_rows)", "batches")]),
                Panel(
                    "Oldest batch to publish",
                    [Query("max(taskyard_outbox_oldest_age_seconds)", "age")],
                    unit="s",
                    about="The leader publishes what is older than 2 s.",
                    bad=30,
                ),
            ],
            width=6,
        ),
        Row(
            "Stores",
            [
                Panel("Answers", [Query("min by (store) (taskyard_store_up)", "{{store}}")]),
                Panel(
                    "Commits, 99th percentile",
                    _quantiles("taskyard_commit_seconds", "statement", of="")[2:],
                    unit="s",
                ),
                Panel(
                    "Tasks per commit",
                    [
                        Query(
                            "sum by (statement) (rate(taskyard_commit_size_sum[$__rate_interval]))"
                            " / sum by (statement) (rate(taskyard_commit_size_count[$__rate_interval]))",
                            "{{statement}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            "Processes",
            [
                Panel(
                    "Event loop lag",
                    [Query("taskyard_event_loop_lag_seconds", "{{instance}}")],
                    unit="s",
                    about="The worst of the last minute.",
                    bad=0.5,
                ),
                Panel(
                    "Processor",
                    [
                        Query(
                            "rate(process_cpu_seconds_total[$__rate_interval]) * on (instance) group_left ()"
                            " group by (instance) (taskyard_event_loop_lag_seconds)",
                            "{{instance}}",
                        )
                    ],
                    about="Cores; each process uses one.",
                ),
                Panel(
                    "Memory",
                    [
                        Query(
                            "process_resident_memory_bytes * on (instance) group_left ()"
                            " group by (instance) (taskyard_event_loop_lag_seconds)",
                            "{{instance}}",
                        )
                    ],
                    unit="bytes",
                ),
                Panel(
                    "Log lines lost",
                    [Query("sum by (instance) (increase(taskyard_log_lines_lost_total[5m]))", "{{instance}}")],
                ),
            ],
            width=6,
        ),
    ],
)

ALL = {"overview": OVERVIEW, "queue": QUEUE, "worker": WORKER, "leader-and-stores": LEADER_AND_STORES}
