"""Web service: FDSN services, JSON API, live updates, the page (extra ``serve``)."""
