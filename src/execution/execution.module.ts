import { Module } from '@nestjs/common';
import { CatalogueModule } from '../catalogue/catalogue.module.js';
import { SessionPoolModule } from '../session-pool/index.js';
import { ExecutionService } from './execution.service.js';

@Module({
  imports: [SessionPoolModule, CatalogueModule],
  providers: [ExecutionService],
  exports: [ExecutionService],
})
export class ExecutionModule {}
