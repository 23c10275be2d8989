"""The application object."""

from fastapi import FastAPI

from homeostasis.monitoring import HomeostasisMiddleware
from orders.routes import customers, orders, reports, stock, webhooks

app = FastAPI(title="Orders")
app.include_router(orders.router)
app.include_router(customers.router)
app.include_router(stock.router)
app.include_router(reports.router)
app.include_router(webhooks.router)
app.add_middleware(HomeostasisMiddleware, config={"redact_names": ["loyalty_card"]})


@app.get("/health")
async def health():
    return {"status": "ok"}
