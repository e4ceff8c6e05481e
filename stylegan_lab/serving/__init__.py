"""A local web page that uses trained models (`stylegan-lab serve`). Needs the extra `serve`."""
