"""Ray: machines, access, versions, trials in its processes and what becomes of those that are lost.

How Ray is to behave is set here, in the environment, before anything imports it. What is set already stays.
"""

import os

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    # The store and the console are ours; Tune's own loggers and snapshots only cost time between epochs.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "100000",
    # How many trials are under way is our searcher's business, which knows how many machines there are.
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    # Ctrl-C must reach us, so that trials in flight are recorded as cancelled.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # So long (in ms) Ray may take to say what an actor died of. By itself it waits for a second, and then a machine
    # that lost its power is only "temporarily unavailable": Ray takes about 15 s to miss it.
    "RAY_timeout_ms_task_wait_for_death_info": "120000",
    # A process that has not come up by then hangs. Ray's own minute is not enough where other programs take all cores,
    # and then it starts another, and another.
    "RAY_worker_register_timeout_seconds": "600",
    # So long (in ms) a process that Ray starts at once may wait for work. By itself Ray ends it after a second, while
    # the references are still taken, and starts another when Tune asks for one, which imports all anew.
    "RAY_idle_worker_killing_time_threshold_ms": "3600000",
}
for name, value in _SETTINGS.items():
    os.environ.setdefault(name, value)
