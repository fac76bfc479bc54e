# The same two scripts that people and CI run; nothing needs `just`.

# From a fresh clone to right answers
quickstart:
    scripts/quickstart.sh

# Everything that CI runs
check:
    scripts/test.sh
