"""Is this cluster fit for a study? `python -m evae.doctor --help` (the checks are in evae/tuning/doctor.py)."""

from evae.tuning.doctor import main

if __name__ == "__main__":
    main()
