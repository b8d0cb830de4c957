"""`python -m persbench`: the command line, where there is no script of that name (`accelerate launch -m persbench`)."""

from persbench.cli import main

main()
