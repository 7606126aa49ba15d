"""``python -m cistransfer``: the command line, where the script is not on PATH."""

from cistransfer.cli.main import main

if __name__ == "__main__":
    main()
