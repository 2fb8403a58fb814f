"""`python -m transpike`."""

from transpike.cli import main

main()
