"""labkit judged by a stock Kubernetes, built from the sources that Debian ships.

    python -m tests.stock.build        kube-apiserver, kube-proxy, ... into the cache, once
    pytest -m stock                    our agent on their server, their kube-proxy on ours
    python -m tests.stock.record       ask their server again what tests/cases/stock says it answers
    python -m tests.stock.gaps         note where ours answers otherwise; needs no programs

What their server answered is kept, so that everybody's tests compare ours with it every day:
`tests/unit/apiserver/test_stock_facts.py`. Only who asks for `stock` needs the programs.
"""
