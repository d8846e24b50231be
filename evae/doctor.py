"""Is this cluster fit for a study? `python -m evae.doctor --help` (the checks are in evae/cluster/doctor.py)."""

from evae.cluster.doctor import main

if __name__ == "__main__":
    main()
