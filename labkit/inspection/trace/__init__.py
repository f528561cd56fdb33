"""One real request, followed over all machines and through the proxy.

    arming      which packets the kernel is to tell of: two of each connection, and no other's
    on_node     what runs on each node meanwhile, and cleans up whoever is killed
    events      the kernel's own words, as values
    joining     one story of it: rules, translations, the proxy's choice, the second connection
    considering the rules that said no to it, and why
    verdict     where it ended if it failed, and the likely cause
    report      the story as text, as a drawing, as JSON
    tracing     the steps

Other tracers follow a packet and lose it at the proxy, where one connection ends and another
begins. Here the proxy's journal says which two belong together.
"""
