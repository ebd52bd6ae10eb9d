"""`python -m stream_infer` is `stream-infer`."""

from stream_infer.cli import main

if __name__ == "__main__":
    main()
