"""`python -m stylegan_lab` is the same as `stylegan-lab`."""

from stylegan_lab.cli.main import main

main()
