"""Django: `gunicorn --preload --workers 4 examples.web_django:application`.

A real project has the client in a module of its own, next to its tasks, and the rest of this file already.
"""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from examples.hello import Town, greet
from taskyard import SyncClient

settings.configure(SECRET_KEY="only an example", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)
client = SyncClient(time_limit=5)


@require_POST
def submit(request: HttpRequest) -> JsonResponse:
    # In a transaction of your own, submit in transaction.on_commit, or with taskyard.submit inside it.
    handle = greet.submit(client, Town(request.POST["town"]), idempotency_key=request.headers.get("Idempotency-Key"))
    return JsonResponse({"id": handle.id}, status=202)


@require_GET
def result(_request: HttpRequest, id: str) -> JsonResponse:
    return JsonResponse({"greeting": greet.handle(client, id).result(timeout=30)})


urlpatterns = [path("greetings", submit), path("greetings/<id>", result)]
application = get_wsgi_application()
