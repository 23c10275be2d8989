"""Reports for the sales team."""

from fastapi import APIRouter

from orders.services import reports

router = APIRouter(prefix="/reports", tags=["reports"])


@router.get("/region/{region}")
def region(region: str):
    return reports.region(region)
