"""The contracts of all families as checks: those of this project's own tests, for authors of plug-ins too.

python -m evae.testing my_plugin.py

from evae.testing.posteriors import CHECKS
for check in CHECKS:
    check(StudentT(freedom=5.0))        # raises evae.testing.contract.Broken, which names the method at fault
"""
